"""Content-addressable archives: blocks in a row, CARv1 written and read, CARv2 read. Sans-IO."""

from ipfs_cluster.car.reader import BadCar, CarBlock, CarReader
from ipfs_cluster.car.writer import head, section, section_size

__all__ = ["BadCar", "CarBlock", "CarReader", "head", "section", "section_size"]
