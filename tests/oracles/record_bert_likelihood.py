"""Records pseudo-log-likelihoods of a tiny random BERT of Hugging Face transformers.

    python record_bert_likelihood.py ../fixtures/bert     # with torch and transformers

Reads model.safetensors and the tokens of expected.safetensors, which record_bert.py wrote, and writes
likelihood.safetensors: log p(token | all other tokens of its row) at each place that is no padding,
one forward pass a place in double precision, with token 40 as the mask; 0 at padding.
"""
import sys

import torch
import transformers
from safetensors.torch import load_file, save_file

folder = sys.argv[1]
config = transformers.BertConfig(
    vocab_size=41, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
    max_position_embeddings=13, type_vocab_size=2, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, pad_token_id=0, attn_implementation="eager")
model = transformers.BertForMaskedLM(config).double().eval()
weights = load_file(folder + "/model.safetensors")
missing, unexpected = model.load_state_dict(
    {name: value.double() for name, value in weights.items()}, strict=False)
# The head is tied; named_parameters() lists it once.
assert not unexpected and set(missing) <= {
    "cls.predictions.decoder.weight", "cls.predictions.decoder.bias",
    "bert.embeddings.position_ids"}, (missing, unexpected)
model.tie_weights()

recorded = load_file(folder + "/expected.safetensors")
tokens, mask = recorded["tokens"].long(), recorded["mask"].bool()
result = torch.zeros(tokens.shape, dtype=torch.double)
with torch.no_grad():
    for row in range(tokens.shape[0]):
        real = tokens[row][mask[row]]
        for place in range(len(real)):
            seen = real.clone()
            seen[place] = 40
            logits = model(input_ids=seen[None]).logits[0, place]
            result[row, place] = torch.log_softmax(logits, 0)[real[place]]
    # The recorded logits, from the same weights: what was loaded is what was recorded.
    again = model(input_ids=tokens, attention_mask=mask.long()).logits
assert torch.allclose(again[mask], recorded["logits.no_types"].double()[mask], atol=1e-9)

made_by = {"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}"}
save_file({"log_probabilities": result}, folder + "/likelihood.safetensors", metadata=made_by)
