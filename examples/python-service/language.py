"""A service with a model that is loaded once: which of 97 languages a text is in.

    pip install ./clients/python py3langid   # the model comes with py3langid
    tasklane up --subprocess 'text/language=python3 examples/python-service/language.py;children=2'
    tasklane submit --user ada --mode text --service language --name detect --wait \\
        --input '{"text": "Guten Morgen, wie geht es?"}'
"""

from typing import Dict, List

import py3langid

from tasklane import Context, Service

service = Service(version="1")
# The first call loads the model. Here it is before run(), so every task finds it warm; one that takes minutes has
# init_timeout for that.
py3langid.classify("load the model")


@service
def detect(ctx: Context, text: str) -> Dict[str, object]:
    """The language of a text as ISO 639-1, and the three likeliest with their scores."""
    likeliest = py3langid.rank(text)[:3]
    ctx.log("looked at %d characters" % len(text), level="debug")
    return {"language": likeliest[0][0], "scores": {language: round(float(score), 2) for language, score in likeliest}}


@service
def detect_many(ctx: Context, texts: List[str]) -> List[str]:
    """The languages of many texts, with progress."""
    found = []
    for done, text in enumerate(texts):
        ctx.progress(current=done, total=len(texts), unit="texts")
        found.append(py3langid.classify(text)[0])
    return found


if __name__ == "__main__":
    service.run()
