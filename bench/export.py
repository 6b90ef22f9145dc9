"""export.py MODEL.gguf DIR: a Marian model of decant as a Hugging Face directory.

Weights are dequantised to float32, so transformers and CTranslate2 compute with
the same numbers as decant. Tokenizer files come along. Needs gguf, numpy and
safetensors from PyPI.
"""
import json
import math
import os
import sys

import numpy as np
from gguf import GGUFReader, dequantize
from safetensors.numpy import save_file

LAYER = {
    'attn_q': 'self_attn.q_proj', 'attn_k': 'self_attn.k_proj',
    'attn_v': 'self_attn.v_proj', 'attn_o': 'self_attn.out_proj',
    'attn_norm': 'self_attn_layer_norm', 'cross_attn_q': 'encoder_attn.q_proj',
    'cross_attn_k': 'encoder_attn.k_proj', 'cross_attn_v': 'encoder_attn.v_proj',
    'cross_attn_o': 'encoder_attn.out_proj',
    'cross_attn_norm': 'encoder_attn_layer_norm',
    'ffn_up': 'fc1', 'ffn_down': 'fc2', 'ffn_norm': 'final_layer_norm',
}
STACK = {'enc': 'encoder', 'dec': 'decoder'}


def hf_name(name):
    parts = name.split('.')
    if parts[0] == 'token_embd':
        return 'model.shared.weight'
    if name == 'output.bias':
        return 'final_logits_bias'
    stack, _, layer, weight, suffix = parts
    return f'model.{STACK[stack]}.layers.{layer}.{LAYER[weight]}.{suffix}'


def made_up(n):
    """Pieces for a model without a vocabulary (bench/random.lua)."""
    return ['</s>', '<unk>'] + [f't{i}' for i in range(2, n - 1)] + ['<pad>']


def main(source, out):
    file = GGUFReader(source)
    value = {k: f.contents() for k, f in file.fields.items()}
    os.makedirs(out, exist_ok=True)
    tensors = {}
    for t in file.tensors:
        x = dequantize(t.data, t.tensor_type).astype(np.float32)
        x = x.reshape([int(n) for n in reversed(t.shape)])
        name = hf_name(t.name)
        tensors[name] = np.ascontiguousarray(
            x.reshape(1, -1) if name == 'final_logits_bias' else x)
    save_file(tensors, f'{out}/model.safetensors', {'format': 'pt'})
    g = {k.removeprefix('decant.generation.'): v for k, v in value.items()
         if k.startswith('decant.generation.') and 'bad_words' not in k}
    pad = g['pad_token_id']
    g['bad_words_ids'] = [[pad]]
    json.dump(g, open(f'{out}/generation_config.json', 'w'), indent=1)
    json.dump({
        'architectures': ['MarianMTModel'], 'model_type': 'marian',
        'vocab_size': value['marian.vocab_size'],
        'decoder_vocab_size': value['marian.vocab_size'],
        'd_model': value['marian.embedding_length'],
        'encoder_layers': value['marian.block_count'],
        'decoder_layers': value['marian.decoder_block_count'],
        'encoder_attention_heads': value['marian.attention.head_count'],
        'decoder_attention_heads': value['decant.decoder.attention.head_count'],
        'encoder_ffn_dim': value['marian.feed_forward_length'],
        'decoder_ffn_dim': value['decant.decoder.feed_forward_length'],
        'activation_function': value['decant.activation'],
        'max_position_embeddings': value['marian.context_length'],
        'scale_embedding': not math.isclose(
            value['marian.embedding_scale'], 1.0),
        'static_position_embeddings': True, 'tie_word_embeddings': True,
        'share_encoder_decoder_embeddings': True,
        'normalize_before': False, 'normalize_embedding': False,
        'is_encoder_decoder': True, 'dtype': 'float32',
        'pad_token_id': pad, 'eos_token_id': g['eos_token_id'],
        'decoder_start_token_id': value['marian.decoder_start_token_id'],
        'forced_eos_token_id': g.get('forced_eos_token_id'),
    }, open(f'{out}/config.json', 'w'), indent=1)
    tokens = value.get('tokenizer.ggml.tokens') or made_up(
        value['marian.vocab_size'])
    json.dump({t: i for i, t in enumerate(tokens)},
              open(f'{out}/vocab.json', 'w'), ensure_ascii=False)
    spm = {side: value.get(f'decant.tokenizer.{side}_spm')
           for side in ('source', 'target')}
    for side in spm if any(spm.values()) else ():
        with open(f'{out}/{side}.spm', 'wb') as f:
            f.write(bytes(spm[side] or spm['source']))


if __name__ == '__main__':
    main(*sys.argv[1:3])
