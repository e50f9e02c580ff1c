"""Everything this package raises on purpose.

    LipsyncError
    ├── UsageError               exit 2: nothing was done
    │   ├── PairingError         missing, doubled or ambiguous names
    │   ├── OutputError          the output folder cannot be written, holds another run or is another job's
    │   │   ├── OtherRun         it holds a run that was planned otherwise
    │   │   └── Held             a lock is another process's (lipsync_eval.locks)
    │   ├── WeightsError         a weights file is missing, unknown or not what it should be
    │   │   ├── MissingWeights
    │   │   └── RefusedCheckpoint
    │   └── SignatureMismatch    runs that cannot be compared
    ├── ClipError                one clip fails, the rest is scored (a failure row)
    │   ├── MediaError           cannot be decoded, no frame, no audio
    │   ├── AlignmentError       lengths that the --align policy does not allow
    │   ├── FaceError            no face, lost face, several faces
    │   ├── ProtocolError        the crop cannot be made
    │   └── MetricError          one metric cannot be computed on this clip
    ├── InputError               a library function got arrays it cannot use (also a ValueError)
    └── ParseError               a file of ours (results, protocol, layout) is malformed

A message says what was expected, what came and what to do.
"""

from __future__ import annotations


class LipsyncError(Exception):
    """Root of the tree: catch this to catch everything raised on purpose."""


class UsageError(LipsyncError):
    """The command or call cannot start as given (exit code 2)."""


class PairingError(UsageError):
    """Generated and real videos cannot be matched."""


class OutputError(UsageError):
    """The output folder cannot be used."""


class OtherRun(OutputError):
    """The folder holds a run that was planned otherwise: other videos, metrics or settings."""


class WeightsError(UsageError):
    """A weights file is missing, unknown or not what it should be."""


class MissingWeights(WeightsError):
    """Weights that a metric needs are not on this machine; the message holds the pull line."""


class RefusedCheckpoint(WeightsError):
    """A checkpoint asks for more than tensors and plain containers, or does not fit its network."""


class SignatureMismatch(UsageError):
    """Two runs were made differently and cannot be compared."""


class ClipError(LipsyncError):
    """One clip fails; the others are still scored."""


class MediaError(ClipError):
    """A video or audio file cannot be used."""


class AlignmentError(ClipError):
    """Generated and real video differ in length by more than the policy allows."""


class FaceError(ClipError):
    """No usable face."""


class ProtocolError(ClipError):
    """The crop that the protocol asks for cannot be made."""


class MetricError(ClipError):
    """A metric cannot be computed on this clip."""


class InputError(LipsyncError, ValueError):
    """A function got an array of the wrong shape, dtype or range."""


class ParseError(UsageError):
    """A file that this package reads (results, protocol, layout, manifest) is malformed."""
