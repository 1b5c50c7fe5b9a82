#!/usr/bin/env python3
"""Records tests/fixtures/text/wordpiece.json: a small WordPiece vocabulary under several rules, and
what Hugging Face's tokenizers make of hard texts with it. Needs `pip install tokenizers` (recorded
with 0.23.3).

Usage: record_wordpiece.py tests/fixtures/text/wordpiece.json
"""

import json
import sys

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = list("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789éüİıßσςΣ日本語ж")
WORDS = ["the", "play", "##ing", "##ed", "un", "##able", "##aff", "Straße", "strasse", "cafe",
         "café", "##́", "i̇", "##̇"]
SYMBOLS = list(".,!?'\"-()$+<=>^`|~@#%&*_:;/\\[]{}") + ["。", "¿", "«", "—", "…", "、", "🙂", "½", "²"]
VOCABULARY = SPECIALS + LETTERS + ["##" + letter for letter in LETTERS] + WORDS + SYMBOLS

RULES = {
    "uncased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True),
    "cased": dict(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=False),
    "lower_with_accents": dict(
        clean_text=True, handle_chinese_chars=True, strip_accents=False, lowercase=True),
    "only_accents": dict(
        clean_text=True, handle_chinese_chars=False, strip_accents=True, lowercase=False),
    "unclean": dict(
        clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False),
}
TEXTS = [
    "", " ", "The unaffable player's café, played!", "THE CAFÉ", "cafe\u0301 CAFE\u0301",
    "Straße STRASSE ẞ", "İstanbul ıI", "ΣΑΣ ΣΣ σς", "日本語the日 本", "a日b", "\u65e5\u672c\u3002",
    "tab\there\nline\r\nend\u2028sep\u2029para", "zero\u200bwidth\ufeffbom\u00adsoft\u200djoin",
    "nul\u0000fffd\ufffdbell\u0007del\u007f", "vt\u000bff\u000cnel\u0085", "nbsp\u00a0em\u2003ideo\u3000x",
    "$1+2=3<4>5^6`7|8~9", "[MASK] [CLS]x[SEP]", "[mask]", "...!?", "a-b_c", "¿qué? «no» — y…",
    "🙂 a🙂b ½²", "\u1112\u1161\u11ab \ud55c", "ﬁ ﬀ Å \u212b K", "x\u0489y \u0903z", "a" * 100, "a" * 101,
    "é" * 101, "q" * 3 + "\u4e01", "\U00020000a\U0002f800", "\ue000private", "ж\u0306 й",
]
DECODED = [["un", "##aff", "##able", ",", "the", "play", "##ed", "!"], ["##ing", "the", "."],
           ["[CLS]", "a", "[MASK]", "?", "[SEP]"], ["(", "a", ")", "'", "b"]]

vectors = {}
for name, rules in RULES.items():
    tokenizer = Tokenizer(models.WordPiece(
        {token: i for i, token in enumerate(VOCABULARY)}, unk_token="[UNK]",
        max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(**rules)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix="##", cleanup=True)
    plain = Tokenizer.from_str(tokenizer.to_str())
    tokenizer.add_special_tokens(SPECIALS)
    vectors[name] = {
        "tokenizer": json.loads(tokenizer.to_str()),
        "encoded": [{"text": text, "as_text": plain.encode(text).ids,
                     "as_id": tokenizer.encode(text).ids} for text in TEXTS],
        "decoded": [{"ids": [VOCABULARY.index(token) for token in tokens],
                     "text": tokenizer.decode([VOCABULARY.index(token) for token in tokens],
                                              skip_special_tokens=False)}
                    for tokens in DECODED],
    }
with open(sys.argv[1], "w", encoding="utf-8") as file:
    json.dump(vectors, file, ensure_ascii=True, separators=(",", ":"))
    file.write("\n")
