# Values for spec/wants_spec.lua, from transformers (5.23, float64):
#   python spec/support/wants.py
# The decoder reads {start, 4, 9, 11} on the source {5, 6, 7, eos}.

import torch
import transformers

ZOO = "../shared/models/hf-zoo/"

for name, eos in (("marian", 0), ("bart", 2)):
    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(
        ZOO + name, attn_implementation="eager").eval().double()
    start = model.config.decoder_start_token_id
    out = model(input_ids=torch.tensor([[5, 6, 7, eos]]),
                decoder_input_ids=torch.tensor([[start, 4, 9, 11]]),
                output_hidden_states=True, output_attentions=True)
    states = out.decoder_hidden_states
    attention = torch.stack(out.cross_attentions).mean(dim=(0, 2))[0]
    print(name, "attention", attention.tolist())
    print(name, "hidden[3][1..4]", states[-1][0, 2, :4].tolist())
    for layer in range(len(states) - 1):
        early = model.lm_head(states[layer]) + model.final_logits_bias
        print(name, "layer", layer, "ids 10..13", early[0, -1, 10:14].tolist())
