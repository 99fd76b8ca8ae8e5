"""What a source answers where its provider wants words: a challenge, a confirmation, `ok`. Pure.

A request is answered so after its proof alone, and what it says is never stored: it is no message of a person.
"""

from rfctl.sources.answers.answers import Answers

__all__ = ["Answers"]
