"""Types that have no tiny model here, and why."""

UNBUILT: dict[str, str] = {
    "mistral4": (
        "its class is a decoder of text alone, without a tower; with images it is the decoder of another type"
    ),
}
