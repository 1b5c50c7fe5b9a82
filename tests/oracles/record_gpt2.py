"""Records a tiny random GPT-2 and a Llama of Hugging Face transformers for tests/models.

    python record_gpt2.py ../fixtures/gpt2     # with torch and transformers

model.safetensors: the weights as GPT2LMHeadModel.save_pretrained writes them (Conv1D weights are
[in, out]). expected.safetensors: tokens, logits, per-token losses and the gradient of the mean loss
with respect to every weight; logits.relu and so on with the same weights and another activation.
llama.safetensors: the weights and the logits of a LlamaForCausalLM. All computed in double precision, so that they are the truth for f32.
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
for activation in ("relu", "silu", "gelu"):
    config.activation_function = activation
    other = transformers.GPT2LMHeadModel(config).double().eval()
    other.load_state_dict(model.state_dict())
    expected["logits." + activation] = other(tokens).logits.detach()
made_by = {"made_by": f"torch {torch.__version__}, transformers {transformers.__version__}"}
save_file(expected, folder + "/expected.safetensors", metadata=made_by)

llama = transformers.LlamaForCausalLM(transformers.LlamaConfig(
    vocab_size=37, max_position_embeddings=13, hidden_size=24, intermediate_size=20,
    num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, rms_norm_eps=1e-5,
    rope_theta=100.0, tie_word_embeddings=False, bos_token_id=0, eos_token_id=0,
    attn_implementation="eager")).double().eval()
llama.model.rotary_emb.inv_freq = 100.0 ** (-torch.arange(0, 6, 2).double() / 6)
with torch.no_grad():
    for weight in llama.parameters():
        weight.copy_((weight + 0.1 * torch.randn_like(weight)).float().double())
saved = {name: value.detach().float().contiguous() for name, value in llama.named_parameters()}
saved["logits"] = llama(tokens).logits.detach()
save_file(saved, folder + "/llama.safetensors", metadata=made_by)
