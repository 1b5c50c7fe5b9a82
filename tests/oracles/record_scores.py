#!/usr/bin/env python3
"""Records tests/fixtures/rewards/scores.json: BLEU and chrF of sentences as sacrebleu has them, ROUGE
as Google's rouge_score. Needs `pip install sacrebleu rouge_score` (recorded with 2.6.0 and 0.1.2).

Usage: record_scores.py tests/fixtures/rewards/scores.json
"""

import json
import sys

from rouge_score import rouge_scorer
from sacrebleu.metrics import BLEU, CHRF

# (completion, answer): identities, overlaps, nothing in common, texts shorter than the n-grams,
# numbers, entities, quotes, several scripts and kinds of white space.
PAIRS = [
    ("The cat sat on the mat.", "The cat sat on the mat."),
    ("The cat sat on the mat.", "A cat was sitting on the mat."),
    ("the the the the the the the", "The cat is on the mat."),
    ("It is a guide to action which ensures that the military always obeys the commands.",
     "It is a guide to action that ensures that the military will forever heed Party commands."),
    ("yes", "yes"),
    ("yes", "no"),
    ("", "something"),
    ("word", "a word among others"),
    ("two words", "two words more"),
    ("At 3.14, or 1,000.50 dollars - (roughly) 7-9%...", "At 3.14, or 1,000.5 dollars: (about) 7-9%."),
    ("Tom &amp; Jerry said &quot;hi&quot; &lt;b&gt;", 'Tom & Jerry said "hi" <b>'),
    ("a line-\nbreak and\nanother <skipped>one", "a linebreak and another one"),
    ("Die Straße ist GROSS, größer als je zuvor!", "Die STRASSE ist groß, größer denn je zuvor."),
    ("Être ou ne pas être, telle est la question.", "Etre, ou ne pas être : c'est la question !"),
    ("日本語の文章です。", "日本語の文です。"),
    ("Москва слезам не верит", "МОСКВА слезам верит"),
    ("non\u00a0breaking\u2003space\tand  more ", " non breaking space and more"),
    ("don't \"quote\" (me) on 'that', e.g. U.S.A. ...", "Don't quote me on that, e.g. the U.S.A."),
    ("\u0130stanbul and the \u212a unit", "istanbul and the k unit"),
    ("a b c d e f g h", "h g f e d c b a"),
    (",.,. x.5 5.x -1 1-", ". , 5.5 x - 1"),
    ("Smile 🙂🙂 now", "Smile 🙂 now!"),
    ("ending in spaces and newline \n", "ending in spaces and newline"),
]

BLEU_OPTIONS = {
    "": dict(effective_order=True),
    "effective_order = false": dict(effective_order=False),
    'smooth = "floor"': dict(effective_order=True, smooth_method="floor"),
    'smooth = "floor"\nsmooth_value = 0.5': dict(
        effective_order=True, smooth_method="floor", smooth_value=0.5),
    'smooth = "add-k"': dict(effective_order=True, smooth_method="add-k"),
    'smooth = "none"': dict(effective_order=True, smooth_method="none"),
    "order = 2\nignore_case = true": dict(effective_order=True, max_ngram_order=2, lowercase=True),
    'words = "space"': dict(effective_order=True, tokenize="none"),
}
CHRF_OPTIONS = {
    "": dict(),
    "word_order = 2": dict(word_order=2),
    "char_order = 3\nbeta = 1.0\nignore_case = true": dict(char_order=3, beta=1, lowercase=True),
    "white_space = true": dict(whitespace=True),
}
KINDS = ["rouge1", "rouge2", "rougeL"]


def main():
    scorer = rouge_scorer.RougeScorer(KINDS, use_stemmer=False)
    rouge = {}
    for kind in KINDS:
        all_scores = [scorer.score(answer, text)[kind] for text, answer in PAIRS]
        for measure, member in (("f1", "fmeasure"), ("precision", "precision"), ("recall", "recall")):
            rouge[f'kind = "{kind}"\nmeasure = "{measure}"'] = [
                getattr(score, member) for score in all_scores]
    record = {
        "pairs": PAIRS,
        "bleu": {options: [BLEU(**given).sentence_score(text, [answer]).score for text, answer in PAIRS]
                 for options, given in BLEU_OPTIONS.items()},
        "chrf": {options: [CHRF(**given).sentence_score(text, [answer]).score for text, answer in PAIRS]
                 for options, given in CHRF_OPTIONS.items()},
        "rouge": rouge,
    }
    with open(sys.argv[1], "w", encoding="utf-8") as file:
        json.dump(record, file, ensure_ascii=False, indent=1)
        file.write("\n")


main()
