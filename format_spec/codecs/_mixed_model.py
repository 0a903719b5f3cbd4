"""The context-mixed codec's binary coder and predictors, plainly: what ``SPEC.md`` says of decisions."""

from __future__ import annotations

from ..mixing import (
    CONTEXTS,
    COUNT_LIMIT,
    COUNT_RATES,
    EXTRA_RATE,
    FIRST_COUNTER,
    FIRST_WEIGHT,
    INPUTS,
    LEAST,
    LEAST_WEIGHT,
    MOST,
    MOST_WEIGHT,
    PLANES,
    RATE,
    RATE_DELAY,
    REFINEMENTS,
    SETS,
    SQUASH,
    STRETCH,
    SURE,
)

squash, stretch, rates = SQUASH.tolist(), STRETCH.tolist(), COUNT_RATES.tolist()


class Encoder:
    """A carryless binary range coder that writes bytes."""

    is_overrun = False

    def __init__(self) -> None:
        self.low, self.high, self.data = 0, 0xFFFFFFFF, bytearray()

    def code(self, bit: int, p: int) -> int:
        """Code ``bit``; ``p`` is the probability of a one, in 65536ths."""
        middle = self.low + ((self.high - self.low) * p >> 16)
        self.low, self.high = (self.low, middle) if bit else (middle + 1, self.high)
        while self.low >> 24 == self.high >> 24:
            self.data.append(self.high >> 24)
            self.low, self.high = self.low << 8 & 0xFFFFFFFF, (self.high << 8 & 0xFFFFFFFF) | 255
        return bit

    def finish(self) -> bytes:
        """The bytes: one more tells the decoder a value inside the interval."""
        return bytes(self.data) + bytes([(self.low >> 24) + 1])


class Decoder:
    """Its inverse. Bytes beyond the end are zero."""

    def __init__(self, data: bytes) -> None:
        self.low, self.high, self.data, self.at = 0, 0xFFFFFFFF, data, 4
        self.word = int.from_bytes(data[:4].ljust(4, b"\0"), "big")

    def code(self, bit: int, p: int) -> int:
        """The next bit; ``bit`` is not used."""
        middle = self.low + ((self.high - self.low) * p >> 16)
        bit = int(self.word <= middle)
        self.low, self.high = (self.low, middle) if bit else (middle + 1, self.high)
        while self.low >> 24 == self.high >> 24:
            self.low, self.high = self.low << 8 & 0xFFFFFFFF, (self.high << 8 & 0xFFFFFFFF) | 255
            self.word = (self.word << 8 & 0xFFFFFFFF) | (self.data[self.at] if self.at < len(self.data) else 0)
            self.at += 1
        return bit

    @property
    def is_overrun(self) -> bool:
        """Whether more bytes were read than decisions of a valid block ever need."""
        return self.at > len(self.data) + 4

    @property
    def is_exact(self) -> bool:
        """Whether an encoder of the same decisions would have written as many bytes."""
        return self.at - 3 == len(self.data)


def learned(counter: int, bit: int) -> int:
    """A counter after one more bit."""
    p, count = counter >> 10, counter & 1023
    wrong = SURE - p if bit else p
    wrong -= (wrong >> 3) * rates[count] >> 9
    return (SURE - wrong if bit else wrong) << 10 | min(count + 1, COUNT_LIMIT)


class Model:
    """Everything that learns within a block, and the coder that its predictions drive."""

    def __init__(self, coder: Encoder | Decoder, lone_counters: int) -> None:
        self.coder, self.decisions = coder, 0
        self.counters = [FIRST_COUNTER] * (PLANES * INPUTS * CONTEXTS)
        self.lone = [FIRST_COUNTER] * lone_counters
        self.weights = [[FIRST_WEIGHT] * INPUTS for _ in range(SETS)]
        self.refined = [[squash[min(128 * knot, 4095)] for knot in range(33)] for _ in range(REFINEMENTS)]

    def even(self, bit: int) -> int:
        """A decision that nothing predicts."""
        return self.coder.code(bit, 32768)

    def alone(self, bit: int, *places: int) -> int:
        """A decision that the mean of one or two lone counters predicts."""
        p = sum(self.lone[place] for place in places) // len(places) >> 16
        bit = self.coder.code(bit, min(max(p, LEAST), MOST))
        for place in places:
            self.lone[place] = learned(self.lone[place], bit)
        return bit

    def mixed(self, bit: int, plane: int, contexts: list[int], chosen: int, refinement: int) -> int:
        """A decision that one counter for each context predicts, mixed by a weight set and corrected by a refinement."""
        places = [(plane * INPUTS + j) * CONTEXTS + context for j, context in enumerate(contexts)]
        inputs, weights = [stretch[self.counters[place] >> 20] for place in places], self.weights[chosen]
        mixed = sum(w * s for w, s in zip(weights, inputs, strict=True)) >> 14
        place = min(max(mixed, -2047), 2047) + 2048
        row, nearest = self.refined[refinement], place + 63 >> 7
        bit = self.coder.code(bit, squash[place] + row[nearest] >> 1)
        target = 65535 * bit
        row[nearest] += (target - row[nearest]) >> 6
        rate = RATE + (EXTRA_RATE // (self.decisions + RATE_DELAY) if self.decisions < EXTRA_RATE else 0)
        self.decisions += 1
        miss = (target - squash[place]) * rate >> 8
        for j, s in enumerate(inputs):
            weights[j] = min(max(weights[j] + ((s * miss + 2048) >> 12), LEAST_WEIGHT), MOST_WEIGHT)
        for at in places:
            self.counters[at] = learned(self.counters[at], bit)
        return bit
