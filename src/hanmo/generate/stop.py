"""Stop strings in text that arrives in pieces: nothing is let out that could still turn out to be one.

Characters count, not tokens: the same text gives the same result however it was cut into pieces.
"""

from collections.abc import Sequence


class StopFilter:
    """Lets text through up to the first stop string, which is left out.

    The first is the one that is complete first; of several complete at the same character, the longest.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self.stops = tuple(stops)
        self.found = ""
        self._held = ""

    def push(self, text: str) -> str:
        """Take a piece; gives what is certain to be outside any stop string. After a stop, nothing more."""
        if not self.stops:
            return text
        let_out: list[str] = []
        for character in text:
            if self.found:
                break
            self._held += character
            let_out.append(self._release())
        return "".join(let_out)

    def _release(self) -> str:
        complete = [stop for stop in self.stops if self._held.endswith(stop)]
        if complete:
            self.found = max(complete, key=len)
            before, self._held = self._held[: -len(self.found)], ""
            return before
        keep = max((size for stop in self.stops for size in range(1, len(stop)) if self._held.endswith(stop[:size])), default=0)
        certain, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return certain

    def finish(self) -> str:
        """What was held back, when the text ends without a stop string."""
        rest, self._held = self._held, ""
        return rest
