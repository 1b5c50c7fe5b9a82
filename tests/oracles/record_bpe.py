#!/usr/bin/env python3
"""Records tests/fixtures/text/bpe_training.json: what Hugging Face's tokenizers learn from a small
text, and how the result encodes. Needs `pip install tokenizers` (recorded with 0.23.3).

Usage: record_bpe.py tests/fixtures/text/bpe_training.json
"""

import json
import sys

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

# Runs of equal letters, ties, contractions, digits, several scripts and kinds of white space.
DOCUMENTS = [
    "low lower lowest low low newer newest wider widest wide new new\n",
    "aaaa aaaaa aaa aa a aaaaaaaa banana bananas cabana\n",
    "It's the cat's hat; they'll say we're done, I'd say you've won.\n\n\n  Indented   text\t\ttabs",
    "In 1984 and 2001, 100% of 3.14159 was 42.\r\nNaïve café, Straße, über, größer, größte.\n",
    "日本語の文章、日本語の文字。 Москва слезам не верит. 🙂🙂🙂 a\u00a0b\u2003c\n",
    "abcabcabc bcabca abcd abd abc bcd bc ab cab",
]
SIZE = 400
PROBES = [
    "low newest banana",
    " lower than the widest cat's aaaaaaa",
    "größte Straße 日本語 слезы 🙂🙃",
    "\n\n  \t x  \n",
    "unseen words: quizzical zebra 77",
]


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=SIZE,
        special_tokens=["<|endoftext|>", "<|pad|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(DOCUMENTS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    fixture = {
        "documents": DOCUMENTS,
        "size": SIZE,
        "vocab": model["vocab"],
        "merges": model["merges"],
        "probes": [
            {"text": text, "ids": tokenizer.encode(text).ids} for text in DOCUMENTS + PROBES
        ],
    }
    with open(sys.argv[1], "w", encoding="ascii") as file:
        json.dump(fixture, file, indent=None)
        file.write("\n")


main()
