"""Records a tiny random GPT-2 of Hugging Face transformers for tests/models/gpt2_test.cpp.

    python record_gpt2.py ../fixtures/gpt2     # with torch and transformers

model.safetensors: the weights as GPT2LMHeadModel.save_pretrained writes them (Conv1D weights are
[in, out]). expected.safetensors: tokens, logits, per-token losses and the gradient of the mean loss
with respect to every weight. All computed in double precision, so that they are the truth for f32.
"""
import sys

import torch
import transformers
from safetensors.torch import save_file

folder = sys.argv[1]
torch.manual_seed(7)
config = transformers.GPT2Config(
    vocab_size=37, n_positions=13, n_embd=24, n_layer=2, n_head=3, bos_token_id=0, eos_token_id=0,
    resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0, attn_implementation="eager")
assert config.activation_function == "gelu_new" and config.layer_norm_epsilon == 1e-5
model = transformers.GPT2LMHeadModel(config).double().eval()
with torch.no_grad():
    for weight in model.parameters():  # biases and norms away from 0 and 1; values exact in f32
        weight.copy_((weight + 0.1 * torch.randn_like(weight)).float().double())

tokens = torch.randint(0, config.vocab_size, (3, 11))
logits = model(tokens).logits
losses = torch.nn.functional.cross_entropy(
    logits[:, :-1].reshape(-1, config.vocab_size), tokens[:, 1:].reshape(-1), reduction="none")
loss = model(tokens, labels=tokens).loss
torch.testing.assert_close(losses.mean(), loss, check_dtype=False)  # loss itself is in f32
losses.mean().backward()

weights = {name: value.detach().float().contiguous() for name, value in model.named_parameters()}
save_file(weights, folder + "/model.safetensors", metadata={"format": "pt"})
expected = {"tokens": tokens.int(), "logits": logits.detach(), "losses": losses.detach()}
for name, value in model.named_parameters():
    expected["gradient." + name] = value.grad.float().contiguous()
save_file(expected, folder + "/expected.safetensors",
          metadata={"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}"})
