"""What is compared with what: groups of rows, each a load and the programs that get it.

Programs are named as in programs.py. The first of a row is what the others are divided by: only the ratio
of neighbours in a round means anything, because the disk of a virtual machine drifts by a factor of two
within minutes.
"""

import dataclasses

MESSAGE = 4096
LARGE = 25_000_000


@dataclasses.dataclass(frozen=True)
class Row:
    group: str
    name: str
    programs: tuple
    connections: int = 1
    recipients: int = 1
    size: int = MESSAGE
    quick: bool = False  # also part of a quick run


LMTP = "LMTP, 4 KiB"
FIFTY = "LMTP, 4 KiB, 50 recipients"
OPTIONS = "LMTP, 4 KiB, with quota and Sieve"
PIPE = "Pipe, 4 KiB"
PIPE_QUOTA = "Pipe, 4 KiB, with quota"
PIPE_BOTH = "Pipe, 4 KiB, with quota and Sieve"
SIZES = "LMTP, large messages"
POLICY = "Policy service, 100 connections"

UNITS = {POLICY: "requests/s"}  # of other groups: deliveries/s


def at_once(count):
    return "1 connection" if count == 1 else f"{count} connections"


ROWS = tuple(
    Row(LMTP, at_once(c), ("limit", "lodge", "dovecot"), c, quick=c in (1, 20)) for c in (1, 4, 20, 50)
) + tuple(
    Row(FIFTY, at_once(c), ("limit", "limit-together", "limit-links", "lodge-copies", "lodge-links", "dovecot-links"), c, 50,
        quick=c == 1)
    for c in (1, 4, 20, 50)
) + tuple(
    Row(OPTIONS, at_once(c), ("lodge-beside", "lodge-quota", "lodge-sieve", "lodge-both", "dovecot-both"), c, quick=c == 20)
    for c in (4, 20)
) + tuple(
    Row(PIPE, f"{c} at once", ("true", "deliver", "dovecot-lda", "maildrop"), c, quick=c == 1) for c in (1, 4)
) + tuple(
    Row(PIPE_QUOTA, f"{c} at once", ("true", "deliver-quota", "deliver-unsynced", "deliverquota"), c, quick=c == 1) for c in (1, 4)
) + (
    Row(PIPE_BOTH, "1 at once", ("true", "deliver-both", "dovecot-lda-both")),
    Row(SIZES, "64 KiB, 4 connections", ("limit", "lodge", "dovecot"), 4, size=64 << 10),
    Row(SIZES, "1 MiB, 4 connections", ("limit", "lodge", "dovecot"), 4, size=1 << 20),
    Row(SIZES, "25 MB, 1 connection", ("limit", "lodge", "dovecot"), size=LARGE, quick=True),
    Row(POLICY, "users and aliases", ("policy", "policy-alias"), 100),
)
