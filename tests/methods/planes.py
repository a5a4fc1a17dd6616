"""The border to references that take images as (batch, channel, row, col)."""


def as_image(cells):
    """A square image of (batch, cell, channel) as (batch, channel, row, col)."""
    side = round(cells.shape[1] ** 0.5)
    return cells.transpose(1, 2).unflatten(2, (side, side))


def as_cells(image):
    """An image of (batch, channel, row, col) as (batch, cell, channel)."""
    return image.flatten(2).transpose(1, 2)
