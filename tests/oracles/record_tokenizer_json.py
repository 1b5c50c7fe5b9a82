#!/usr/bin/env python3
"""Records tests/fixtures/text/tokenizer_json.json: tokenizer.json files with the features that
loaders get wrong, and what Hugging Face's tokenizers make of some texts with them. Needs
`pip install tokenizers` (recorded with 0.23.3).

Usage: record_tokenizer_json.py tests/fixtures/text/tokenizer_json.json
"""

import json
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BYTE_LEVEL = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
SPLITTERS = {
    "prefix_space": pre_tokenizers.ByteLevel(add_prefix_space=True),
    "llama3": pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(LLAMA3), "isolated"), BYTE_LEVEL]
    ),
    "removed_inverted": pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(r"\w+|\s+"), "removed", invert=True), BYTE_LEVEL]
    ),
    "removed_literal": pre_tokenizers.Sequence(
        [pre_tokenizers.Split("a.", "removed"), BYTE_LEVEL]
    ),
    "digits": pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    ),
    "no_regex": BYTE_LEVEL,
}
TEXT = (
    "the cat sat on the mat; the cat's hat is THE CAT'S hat.\n\nIn 2024, 123456 cats sat.\n"
    "a.b a. ba. the end the end  the  end\r\n\r\n   Größe größe ２３ 日本 the the the"
) * 2
PROBES = [
    TEXT,
    "",
    " the",
    "the<|end|>the",
    "the <mask>  cat <|end|>  sat",
    "<<both>><both>the longest wins",
    "a.a. THE'S 1234567\n\n x",
    "\u00a0\u3000 wide",
]


def main():
    cases = []
    for name, splitter in SPLITTERS.items():
        for ignore_merges in [False, True]:
            tokenizer = Tokenizer(models.BPE(ignore_merges=ignore_merges))
            tokenizer.pre_tokenizer = splitter
            tokenizer.decoder = decoders.ByteLevel()
            trainer = trainers.BpeTrainer(
                vocab_size=330,
                special_tokens=["<|end|>"],
                initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                show_progress=False,
            )
            tokenizer.train_from_iterator([TEXT], trainer)
            tokenizer.add_special_tokens(
                [AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False, special=True)]
            )
            tokenizer.add_tokens([AddedToken("<both>", normalized=False), AddedToken("<<both>>")])
            source = json.loads(tokenizer.to_str())
            if ignore_merges:  # a word that only the vocabulary knows, beside its merges
                source["model"]["vocab"]["mat"] = 400
                tokenizer = Tokenizer.from_str(json.dumps(source))
            probes = []
            for text in PROBES:
                tokenizer.encode_special_tokens = False
                as_id = tokenizer.encode(text, add_special_tokens=False).ids
                tokenizer.encode_special_tokens = True
                as_text = tokenizer.encode(text, add_special_tokens=False).ids
                probes.append({"text": text, "as_id": as_id, "as_text": as_text})
            cases.append({"name": name, "tokenizer": source, "probes": probes})
    with open(sys.argv[1], "w", encoding="ascii") as file:
        json.dump(cases, file)
        file.write("\n")


main()
