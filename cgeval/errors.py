"""The error tree: every mistake a user can make is a `CgevalError` whose text is one sentence.

The sentence says what was found, what was expected, where, and what to do. Only `cgeval.console` turns it into
an exit code.

    CgevalError
      ConfigError                     a setting
      DataError                       a dataset
        ImageError                      an image file
        LayoutError                     a folder's layout
      RunError                        a run directory
        SchemaError                     written by another version
        SealError                       changed after it was sealed
        RunBusyError                    another process holds it
      RecordError                     a line of records
      WeightsError                    a file of network weights
      DownloadError                   a transfer
      TrainingError                   training itself
        NonFiniteLossError              a loss became infinite or not a number
      OutputError                     a place to write to
"""


class CgevalError(Exception):
    """A user's mistake, told in one sentence."""


class ConfigError(CgevalError):
    """A setting is unknown, out of range, or contradicts another."""


class DataError(CgevalError):
    """A dataset cannot be used as it is."""


class ImageError(DataError):
    """An image file is broken, empty, or of a kind that cannot be read right."""


class LayoutError(DataError):
    """A folder is not laid out as any known dataset."""


class RunError(CgevalError):
    """A run directory is missing, incomplete, or already there."""


class SchemaError(RunError):
    """A file was written with another schema number."""


class SealError(RunError):
    """A sealed image set no longer matches its digests."""


class RunBusyError(RunError):
    """Another process is writing into the run."""


class RecordError(CgevalError):
    """A record file has a line that is no record."""


class WeightsError(CgevalError):
    """A file does not hold the network weights that were expected."""


class DownloadError(CgevalError):
    """A file could not be fetched whole."""


class TrainingError(CgevalError):
    """Training cannot go on."""


class NonFiniteLossError(TrainingError):
    """A loss became infinite or not a number."""


class OutputError(CgevalError):
    """Something could not be written."""
