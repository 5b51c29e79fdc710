"""Everything that an export can fail with."""


class ExportError(Exception):
    """Base of all: its message says what was expected, what was found, where, and what to do."""


class SourceError(ExportError):
    """The checkpoint cannot be read, or is not what an export needs."""


class TargetError(ExportError):
    """The output cannot be written."""


class VerificationError(ExportError):
    """An export does not agree with its checkpoint, or no longer with what it answered."""
