"""What keeps the pinset where it should be without a request, and the verb `why`."""

from ipfs_cluster.upkeep.diagnosis import Diagnosis
from ipfs_cluster.upkeep.moves import MoveSettings
from ipfs_cluster.upkeep.presence import PresenceSettings
from ipfs_cluster.upkeep.repair import RepairSettings
from ipfs_cluster.upkeep.upkeep import Upkeep, UpkeepSettings

__all__ = ["Diagnosis", "MoveSettings", "PresenceSettings", "RepairSettings", "Upkeep", "UpkeepSettings"]
