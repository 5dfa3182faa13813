"""What rayqc raises, and the exit code that each error ends a command with.

RayqcError                    1  a fault in rayqc, unless a subclass says otherwise
├── LedgerError               1  counts do not balance
├── UserError                 2  the user can put it right and run again
│   ├── ConfigError              a setting is unknown, missing or out of range
│   ├── InputError               a path, file or class is not what it should be
│   │   ├── NoSuchSplitError     a data set lacks the split that is asked for
│   │   └── TooFewReferencesError
│   ├── StorageError             reading or writing failed (permissions, space, network)
│   ├── ConflictError            the folder holds another run's work
│   ├── ArtefactError            a file on disk is not what this version reads
│   │   └── EncoderMismatchError
│   ├── UntrustedCodeError       a run folder names code that the user did not name
│   ├── CollapsedEncoderError    the encoder gives every image the same latent
│   └── DivergedError            training produced numbers that are not finite
├── ErrorBudgetExceeded       3  finished, but too many images could not be judged
├── StoppedError              4  stopped half-way; run again to resume
└── JobFailedError               a submitted job ended otherwise than well; its own exit code
"""

from __future__ import annotations


class RayqcError(Exception):
    """Base of every error rayqc raises on purpose."""

    exit_code = 1


class LedgerError(RayqcError):
    """The counts in a ledger differ from what was planned."""


class UserError(RayqcError):
    """Something the user can put right."""

    exit_code = 2


class ConfigError(UserError):
    """A setting is unknown, missing or out of range."""


class InputError(UserError):
    """A path, file or class is not what it should be."""


class NoSuchSplitError(InputError):
    """A data set lacks the split that is asked for."""


class TooFewReferencesError(InputError):
    """A class has too few reference images for what was asked."""


class StorageError(UserError):
    """Reading or writing failed."""


class ConflictError(UserError):
    """The output folder holds work that was made with other settings."""


class ArtefactError(UserError):
    """A file on disk is damaged, or of a version this code does not read."""


class EncoderMismatchError(ArtefactError):
    """The regions were fitted with another encoder."""


class UntrustedCodeError(UserError):
    """A run folder names code that the user did not name."""


class CollapsedEncoderError(UserError):
    """The encoder gives every image the same latent."""


class DivergedError(UserError):
    """Training produced numbers that are not finite."""


class ErrorBudgetExceeded(RayqcError):
    """Finished, but more images than allowed could not be judged."""

    exit_code = 3


class JobFailedError(RayqcError):
    """A job on a cluster ended otherwise than well."""

    def __init__(self, message: str, exit_code: int | None) -> None:
        """`exit_code`: the job's own; None where it has none, as when it was stopped."""
        super().__init__(message)
        self.exit_code = exit_code or StoppedError.exit_code


class StoppedError(RayqcError):
    """Stopped before the end; what is committed stays, and running again resumes."""

    exit_code = 4
