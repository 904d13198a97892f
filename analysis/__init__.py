"""The paper's claims as commands: each plans runs, reads them, and writes one HDF5 file and one figure."""

from hdream_core.support import extras

extras.demand(__name__)
