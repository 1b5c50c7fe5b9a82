"""Records a tiny random BERT of Hugging Face transformers for tests/models.

    python record_bert.py ../fixtures/bert     # with torch and transformers

model.safetensors: the weights as BertForMaskedLM.save_pretrained writes them. expected.safetensors:
tokens, token types and which places are padding; logits, the losses at some places, and the
gradient of their sum with respect to every weight. All computed in double precision, so that they
are the truth for f32.
"""
import sys

import torch
import transformers
from safetensors.torch import save_file

folder = sys.argv[1]
torch.manual_seed(11)
config = transformers.BertConfig(
    vocab_size=41, hidden_size=24, num_hidden_layers=2, num_attention_heads=3, intermediate_size=40,
    max_position_embeddings=13, type_vocab_size=2, hidden_dropout_prob=0.0,
    attention_probs_dropout_prob=0.0, pad_token_id=0, attn_implementation="eager")
assert config.hidden_act == "gelu" and config.layer_norm_eps == 1e-12
model = transformers.BertForMaskedLM(config).double().eval()
with torch.no_grad():
    for weight in model.parameters():  # biases and norms away from 0 and 1; values exact in f32
        weight.copy_((weight + 0.1 * torch.randn_like(weight)).float().double())

tokens = torch.randint(1, config.vocab_size, (3, 11))
types = (torch.arange(11)[None, :] >= torch.tensor([11, 4, 6])[:, None]).long()
mask = torch.arange(11)[None, :] < torch.tensor([11, 11, 8])[:, None]
tokens[~mask] = 0
logits = model(input_ids=tokens, token_type_ids=types, attention_mask=mask.long()).logits
places = torch.tensor([0, 4, 10, 11, 17, 22, 29])  # of 33; all of them real
wanted = torch.tensor([5, 40, 1, 7, 7, 33, 2])
losses = torch.nn.functional.cross_entropy(
    logits.reshape(-1, config.vocab_size)[places], wanted, reduction="none")
losses.sum().backward()
without_types = model(input_ids=tokens, attention_mask=mask.long()).logits

made_by = {"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}"}
weights = {name: value.detach().float().contiguous() for name, value in model.named_parameters()}
save_file(weights, folder + "/model.safetensors", metadata=made_by)
expected = {"tokens": tokens.int(), "types": types.int(), "mask": mask.int(),
            "places": places.int(), "wanted": wanted.int(), "losses": losses.detach(),
            "logits": logits.detach(), "logits.no_types": without_types.detach()}
for name, value in model.named_parameters():
    expected["gradient." + name] = value.grad.float().contiguous()
save_file(expected, folder + "/expected.safetensors", metadata=made_by)
