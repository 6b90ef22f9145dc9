# Values for spec/unknowns_spec.lua, from CTranslate2 (4.8, float32):
#   python spec/support/unknowns.py
# replace_unknowns on the bart model of hf-zoo with one decoder layer, as
# CTranslate2 reads the alignment of one layer only, of all its heads. A bias
# makes the unknown token likely. Words are "t4" to "t79"; others are unknown.

import tempfile

import numpy
import torch
import transformers
import ctranslate2
from ctranslate2.converters.transformers import BartLoader

ZOO = "../shared/models/hf-zoo/bart"
UNK, BIAS = 3, 8.0
TOKENS = ["<s>", "<pad>", "</s>", "<unk>"] + [f"t{i}" for i in range(4, 80)]
SOURCES = ["t9 t8 t22 t17 t50 t61 t12", "snow t6 t7 t40 man",
           "t44 snow t21 snow man t24 t25", "t70 t71 snow t4"]
# What the decoder is made to write, whatever it wants.
FORCED = "t9 <unk> t10 <unk> <unk> t44 t12 <unk> t61 <unk>"

config = transformers.AutoConfig.from_pretrained(ZOO)
config.decoder_layers = 1
model = transformers.BartForConditionalGeneration.from_pretrained(
    ZOO, config=config).eval()
model.config.normalize_before = False
model.config.normalize_embedding = True
with torch.no_grad():
    model.final_logits_bias[0, UNK] += BIAS
    spec = BartLoader().get_model_spec(model)
spec.register_source_vocabulary(TOKENS)
spec.register_target_vocabulary(TOKENS)
spec.config.bos_token, spec.config.eos_token = "<s>", "</s>"
spec.config.unk_token = "<unk>"
spec.config.decoder_start_token = "</s>"
spec.config.add_source_eos = True
spec.decoder.alignment_heads = numpy.dtype("int16").type(4)
spec.validate()
spec.optimize(quantization=None)

with tempfile.TemporaryDirectory() as folder:
    spec.save(folder)
    translator = ctranslate2.Translator(folder, compute_type="float32")
    for source in SOURCES:
        for prefix in ([], FORCED.split()):
            result = translator.translate_batch(
                [source.split()], target_prefix=[prefix], beam_size=1,
                max_decoding_length=10, replace_unknowns=True)[0]
            print(source, "->", " ".join(result.hypotheses[0]))
