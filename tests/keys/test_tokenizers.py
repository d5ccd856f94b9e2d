"""Keys of the Tokenizer of texts that Keras had before its layers."""

import pytest

from tests.keys.processes import keys_in_new_process

pytestmark = pytest.mark.keras

TOKENIZERS = """
from keras.src.legacy.preprocessing.text import Tokenizer

def fitted(texts, kind=Tokenizer, **settings):
    made = kind(**settings)
    made.fit_on_texts(texts)
    return made

class Own(Tokenizer):
    mark = 1

TEXTS = ["red green blue black white", "red yellow orange purple"]
TOKENIZER = fitted(TEXTS)

def build():
    return TOKENIZER.texts_to_sequences(["red"])

values = {
    "function": build,
    "same": TOKENIZER,
    "own": fitted(TEXTS, Own),
    "another word": fitted([TEXTS[0], "red yellow orange pink"]),
    "another order": fitted([TEXTS[0], "red orange yellow purple"]),
    "another text": fitted([*TEXTS, TEXTS[0]]),
    "few words": fitted(TEXTS, num_words=3),
    "characters": fitted(TEXTS, char_level=True),
}
"""


@pytest.mark.timeout(600)
def test_a_tokenizer_has_the_same_key_with_each_hash_seed(tmp_path):
    """Its settings, vocabulary and counts are what tells it from another."""
    pytest.importorskip("keras.src.legacy.preprocessing.text")
    keys = keys_in_new_process(tmp_path, TOKENIZERS, seed=1)
    assert keys_in_new_process(tmp_path, TOKENIZERS, seed=2) == keys
    assert len(set(keys.values())) == len(keys)
