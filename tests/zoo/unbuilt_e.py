"""Types that no tiny model is built of here, and why."""

UNBUILT: dict[str, str] = {
    "evolla": "It takes the sequence and the structure of a protein, not images.",
    "pi0": "It answers with the movements of a robot, whose state it must be given, and generates no text.",
}
