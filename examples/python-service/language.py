"""A service with a model that is loaded once: which language a text is in.

    tasklane up --subprocess 'text/language=python3 examples/python-service/language.py;children=2'
    tasklane submit --user ada --mode text --service language --name detect --wait \\
        --input '{"text": "Guten Morgen, wie geht es?"}'
"""

import collections
import math
from typing import Dict, List

from tasklane import Context, Service

SAMPLES = {
    "de": "der die das und ist nicht ein eine ich sie wir mit auf für von dem den zu im wie geht es auch nach bei "
          "guten morgen heute schon immer wieder über durch gegen zwischen können werden wurde",
    "en": "the and is not a an of to in that it for on with as are this be at by from how was were have has will "
          "good morning today already always again about through against between could would should",
    "es": "el la los las y es no un una de que en por con para del se al como pero más su sus fue ser está muy "
          "buenos días hoy ya siempre otra vez sobre durante contra entre puede podría",
    "fr": "le la les et est pas un une de que dans pour avec sur au du des se ce il elle nous vous par plus son "
          "bonjour aujourd'hui déjà toujours encore à travers contre entre peut pourrait",
}


class Model:
    """Letters in threes, and how likely each is in a language."""

    def __init__(self, samples: Dict[str, str]) -> None:
        self._logs = {language: self._train(text) for language, text in samples.items()}

    @staticmethod
    def _threes(text: str) -> List[str]:
        padded = " " + " ".join(text.lower().split()) + " "
        return [padded[at:at + 3] for at in range(len(padded) - 2)]

    def _train(self, text: str) -> Dict[str, float]:
        counts = collections.Counter(self._threes(text))
        size = sum(counts.values()) + 1000
        logs = {three: math.log((count + 1) / size) for three, count in counts.items()}
        logs[""] = math.log(1 / size)  # of one that was never seen
        return logs

    def scores(self, text: str) -> Dict[str, float]:
        threes = self._threes(text)
        sums = {language: sum(logs.get(three, logs[""]) for three in threes) for language, logs in self._logs.items()}
        best = max(sums.values())
        weights = {language: math.exp(value - best) for language, value in sums.items()}
        total = sum(weights.values())
        return {language: round(weight / total, 4) for language, weight in weights.items()}


service = Service(version="1")
# Loaded before run(): every task finds it warm. A real one takes minutes, for which init_timeout is there.
model = Model(SAMPLES)


@service
def detect(ctx: Context, text: str) -> Dict[str, object]:
    """The language of a text: de, en, es or fr."""
    scores = model.scores(text)
    language = max(scores, key=lambda one: scores[one])
    ctx.log("looked at %d characters" % len(text), level="debug")
    return {"language": language, "scores": scores}


@service
def detect_many(ctx: Context, texts: List[str]) -> List[str]:
    """The languages of many texts, with progress."""
    found = []
    for done, text in enumerate(texts):
        ctx.progress(current=done, total=len(texts), unit="texts")
        scores = model.scores(text)
        found.append(max(scores, key=lambda one: scores[one]))
    return found


if __name__ == "__main__":
    service.run()
