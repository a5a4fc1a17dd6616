"""The border to references that take pictures as (batch, channel, row, col)."""


def as_picture(cells):
    """A square picture of (batch, cell, channel) as (batch, channel, row, col)."""
    side = round(cells.shape[1] ** 0.5)
    return cells.transpose(1, 2).unflatten(2, (side, side))


def as_cells(picture):
    """A picture of (batch, channel, row, col) as (batch, cell, channel)."""
    return picture.flatten(2).transpose(1, 2)
