"""The life cycle of an alert: which status may follow which, and which events lead there."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from enggang.alerts.records import AlertStatus, EventKind

_S = AlertStatus
_K = EventKind

#: Status → the statuses that may follow. Confirmation is kept until the last pixel is gone.
TRANSITIONS: Mapping[AlertStatus, frozenset[AlertStatus]] = MappingProxyType(
    {
        _S.FLAGGED: frozenset({_S.PROVISIONAL, _S.WITHDRAWN, _S.MERGED}),
        _S.PROVISIONAL: frozenset({_S.FLAGGED, _S.CONFIRMED, _S.WITHDRAWN, _S.MERGED}),
        _S.CONFIRMED: frozenset({_S.FINISHED, _S.WITHDRAWN, _S.MERGED}),
        _S.FINISHED: frozenset({_S.CONFIRMED, _S.WITHDRAWN, _S.MERGED}),
        _S.WITHDRAWN: frozenset(),
        _S.MERGED: frozenset(),
    }
)

#: The status that an event of this kind leads to; kinds that are absent leave the status as it is.
LEADS_TO: Mapping[EventKind, AlertStatus] = MappingProxyType(
    {
        _K.CREATED: _S.FLAGGED,
        _K.MERGED: _S.MERGED,
        _K.PROVISIONAL: _S.PROVISIONAL,
        _K.CONFIRMED: _S.CONFIRMED,
        _K.DEMOTED: _S.FLAGGED,
        _K.WITHDRAWN: _S.WITHDRAWN,
        _K.FINISHED: _S.FINISHED,
        _K.REOPENED: _S.CONFIRMED,
    }
)

_STEPS: Mapping[tuple[AlertStatus, AlertStatus], tuple[EventKind, ...]] = MappingProxyType(
    {
        (_S.FLAGGED, _S.PROVISIONAL): (_K.PROVISIONAL,),
        (_S.FLAGGED, _S.CONFIRMED): (_K.PROVISIONAL, _K.CONFIRMED),
        (_S.PROVISIONAL, _S.CONFIRMED): (_K.CONFIRMED,),
        (_S.PROVISIONAL, _S.FLAGGED): (_K.DEMOTED,),
    }
)


def steps(before: AlertStatus, believed: AlertStatus) -> tuple[EventKind, ...]:
    """Events that take an alert from `before` to what its pixels say (flagged, provisional or confirmed).

    A jump passes through every status between, so that each has its night. Empty where nothing changes, and for
    confirmed and finished alerts, which belief alone doesn't demote.
    """
    return _STEPS.get((before, believed), ())
