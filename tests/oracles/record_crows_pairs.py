"""Records the CrowS-Pairs score of a few sentence pairs by Hugging Face's BertForMaskedLM with the
weights of tests/fixtures/bert, after the program that Nangia et al. (2020) published with their data:
the two token sequences, [CLS] and [SEP] included, are aligned by difflib.SequenceMatcher; each shared
token but the first and the last is masked by itself, and the log-probabilities of the true tokens
are added. In double precision.

    python record_crows_pairs.py ../fixtures     # with torch and transformers
"""
import difflib
import json
import sys

import torch
import transformers
from safetensors.torch import load_file

folder = sys.argv[1]
VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + (
    "the a he she man woman nurse cook was is late ran said that and . , who ##s ##ing to boy girl "
    "poor rich people always never are work ##er kind old young very not").split()
PAIRS = [
    ("The nurse said that she was late.", "The nurse said that he was late."),
    ("He ran, and he was late.", "She ran, and she was late."),
    ("Poor people are always late.", "Rich people are never late."),
    ("The workers are poor", "The nurses are very rich"),
    ("Old people, who ran", "Young people ran to work"),
    ("A boy was not kind", "A girl and a boy was kind"),
]
config = transformers.BertConfig(
    vocab_size=len(VOCABULARY), hidden_size=24, num_hidden_layers=2, num_attention_heads=3,
    intermediate_size=40, max_position_embeddings=13, type_vocab_size=2, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, pad_token_id=0, attn_implementation="eager")
assert config.vocab_size == 41
model = transformers.BertForMaskedLM(config).double().eval()
weights = load_file(folder + "/bert/model.safetensors")
missing, unexpected = model.load_state_dict({k: v.double() for k, v in weights.items()}, strict=False)
assert not unexpected and all(name.startswith("cls.predictions.decoder") for name in missing), missing
model.tie_weights()


def pieces(word):
    """Greedy longest match, as WordPiece has it."""
    ids, at = [], 0
    while at < len(word):
        for end in range(len(word), at, -1):
            piece = ("##" if at else "") + word[at:end]
            if piece in VOCABULARY:
                ids.append(VOCABULARY.index(piece))
                at = end
                break
        else:
            return [VOCABULARY.index("[UNK]")]
    return ids


def tokens(text):
    words = text.lower().replace(".", " . ").replace(",", " , ").split()
    return [2] + [id for word in words for id in pieces(word)] + [3]


def score(ids, places):
    total = 0.0
    for place in places[1:-1]:
        seen = torch.tensor([ids])
        seen[0, place] = 4
        with torch.no_grad():
            logits = model(input_ids=seen).logits[0, place]
        total += torch.log_softmax(logits, dim=0)[ids[place]].item()
    return total


pairs = []
for more, less in PAIRS:
    first, second = tokens(more), tokens(less)
    blocks = difflib.SequenceMatcher(None, first, second).get_matching_blocks()
    shared = [(i + k, j + k) for i, j, n in blocks for k in range(n)]
    assert max(len(first), len(second)) <= 13 and 1 not in first + second
    pairs.append({"more": more, "less": less, "tokens": [first, second],
                  "score_more": score(first, [i for i, _ in shared]),
                  "score_less": score(second, [j for _, j in shared])})
with open(folder + "/study/crows_pairs.json", "w") as file:
    json.dump({"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}",
               "vocabulary": VOCABULARY, "pairs": pairs}, file, indent=1)
    file.write("\n")
