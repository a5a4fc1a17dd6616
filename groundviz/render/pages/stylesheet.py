"""How a page looks: one style sheet, scoped so that it leaves a surrounding notebook alone."""

from groundviz.render.viewer.themes import themed

# A notebook has a theme of its own, whatever the system prefers.
STYLE = themed("""
.groundviz {
  --ground: #f6f7f8; --card: #ffffff; --ink: #16191d; --quiet: #575e66; --line: #d5d9de; --mark: #0b57a4;
  --warn: #a63a08;
  color-scheme: light dark; background: var(--ground); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  overflow-wrap: anywhere;
}
@media (prefers-color-scheme: dark) {
  .groundviz {
    --ground: #0e1013; --card: #16191d; --ink: #dfe3e8; --quiet: #98a1ab; --line: #2b3036; --mark: #8ec1f5;
    --warn: #ffa36b;
  }
}
:theme(light) .groundviz {
  --ground: #f6f7f8; --card: #ffffff; --ink: #16191d; --quiet: #575e66; --line: #d5d9de; --mark: #0b57a4;
  --warn: #a63a08;
  color-scheme: light;
}
:theme(dark) .groundviz {
  --ground: #0e1013; --card: #16191d; --ink: #dfe3e8; --quiet: #98a1ab; --line: #2b3036; --mark: #8ec1f5;
  --warn: #ffa36b; color-scheme: dark;
}
body.groundviz { margin: 0; }
div.groundviz { font-size: 14px; padding: 4px 12px; border-radius: 6px; }
.groundviz header, .groundviz main, .groundviz footer { max-width: 2600px; margin: 0 auto;
  padding: 10px 20px; }
.groundviz article > :not([data-gv]) { max-width: 1080px; }
.groundviz header { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 18px; }
.groundviz header p { margin: 0; font-size: .85em; color: var(--quiet); }
.groundviz h1 { font-size: 1.25em; line-height: 1.25; margin: .2em 0; font-weight: 650; }
.groundviz h2 { font-size: 1.2em; line-height: 1.3; margin: 0 0 .3em; font-weight: 650; }
.groundviz h3 { font-size: .95em; margin: 1.5em 0 .5em; font-weight: 650; }
.groundviz p { margin: .3em 0; }
.groundviz article { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 14px 16px; margin: 0 0 22px; }
div.groundviz article { border: 0; background: none; padding: 6px 0; margin: 0; }
.groundviz .answer { font-size: 1.1em; }
.groundviz .answer strong { color: var(--mark); font-weight: 650; }
.groundviz .quiet, .groundviz figcaption, .groundviz caption { color: var(--quiet); font-size: .85em; }
.groundviz .evidence { margin: 0 0 .9em; }
.groundviz .facts .quiet { font-size: 1em; }
.groundviz .facts strong { font-weight: 650; }
.groundviz .room { overflow-x: auto; }
.groundviz .room table { min-width: 640px; overflow-wrap: break-word; }
.groundviz .label { color: var(--quiet); font-weight: 650; }
.groundviz .warn { color: var(--warn); font-weight: 600; }
.groundviz .answer .warn { font-size: .8em; white-space: nowrap; }
.groundviz .beware { list-style: none; margin: .7em 0; padding: 2px 0 2px 12px;
  border-left: 3px solid var(--warn); color: var(--warn); font-weight: 600; }
.groundviz figure { margin: 0; }
.groundviz img { display: block; max-width: 100%; height: auto; background: #000; border-radius: 3px; }
.groundviz .views, .groundviz .tokens { display: flex; flex-wrap: wrap; gap: 14px; list-style: none;
  margin: .8em 0 0; padding: 0; }
.groundviz .views > figure { max-width: 320px; }
.groundviz .views .none { width: 280px; min-height: 280px; }
.groundviz .tokens > li { border-top: 2px solid var(--line); padding-top: 5px; }
.groundviz .token { display: flex; justify-content: space-between; gap: 10px; margin: 0 0 4px; }
.groundviz .token bdi { font-weight: 600; }
.groundviz .maps { display: flex; flex-wrap: wrap; gap: 6px; }
.groundviz .maps figcaption { font-size: .75em; max-width: 128px; }
.groundviz .none { display: flex; align-items: center; justify-content: center; box-sizing: border-box;
  width: 128px; min-height: 96px; border: 1px dashed var(--quiet); border-radius: 3px; color: var(--quiet); }
.groundviz .scales { list-style: none; margin: 0; padding: 0; font-size: .85em; }
.groundviz .scales li { display: flex; flex-wrap: wrap; align-items: center; gap: 2px 8px; margin: .3em 0; }
.groundviz .scales .bar { display: inline-flex; align-items: center; gap: 6px; white-space: nowrap; }
.groundviz .scales .quiet, .groundviz figcaption .scales { font-size: 1em; }
.groundviz .scales strong { font-weight: 600; }
.groundviz table { border-collapse: collapse; font-size: .9em; width: 100%; }
.groundviz th, .groundviz td { text-align: start; vertical-align: top; padding: 5px 12px 5px 0;
  border-top: 1px solid var(--line); background: none; }
.groundviz th { font-weight: 600; }
.groundviz caption { text-align: start; }
.groundviz details { margin: 1.1em 0 0; }
.groundviz summary { cursor: pointer; color: var(--mark); font-size: .9em; }
.groundviz details img { background: #fff; margin: .6em 0; }
.groundviz dl { display: grid; grid-template-columns: max-content 1fr; gap: 3px 16px; font-size: .85em; }
.groundviz dt { color: var(--quiet); }
.groundviz dd { margin: 0; }
@media (max-width: 640px) {
  .groundviz .stacked table { min-width: 0; }
  .groundviz .stacked * { display: block; }
  .groundviz .stacked thead, .groundviz .stacked td:empty { display: none; }
  .groundviz .stacked th, .groundviz .stacked td { border: 0; padding: 1px 0; }
  .groundviz .stacked tr { border-top: 1px solid var(--line); padding: 5px 0; }
  .groundviz .stacked td::before { content: attr(data-head) ": "; color: var(--quiet); }
}
@media print {
  .groundviz figure, .groundviz .tokens > li { break-inside: avoid; }
}
""")
