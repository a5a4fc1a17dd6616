"""Types that have no tiny model here, and why."""

UNBUILT: dict[str, str] = {
    "mistral4": (
        "its class is a decoder of text alone, without a tower; with images it is the decoder of another type"
    ),
    "evolla": "It takes the sequence and the structure of a protein, not images.",
    "pi0": "It answers with the movements of a robot, whose state it must be given, and generates no text.",
}
