"""train.py OUT SECONDS D_MODEL ENCODER_LAYERS DECODER_LAYERS FFN

Trains the bundled translation model on the files of prepare.py; run it in
their folder. Needs torch, transformers, sentencepiece and sacrebleu (PyPI).

The model is a MarianMTModel: post-norm Transformer, swish, computed sinusoids,
one tied embedding. Label smoothing 0.1, dropout 0.1, AdamW, warm-up and then a
cosine to zero over SECONDS of stepping time (pauses of the process do not
count). So that input without punctuation and longer input work too, 15 % of
the pairs lose the final full stop on both sides and 6 % are two or three pairs
joined. What is kept is the running mean of the weights over the last 30 %.

The embedding of <pad>, from which the decoder starts, is held at zero, as in the
models of OPUS-MT (CTranslate2's converter relies on it).

OUT gets a checkpoint every five minutes (checkpoint.pt, taken up again by the
next start) and at the end the Hugging Face directory with its tokenizer files.
"""
import json
import math
import os
import random
import shutil
import sys
import time

import sacrebleu
import sentencepiece as spm
import torch
from transformers import MarianConfig, MarianMTModel

OUT, BUDGET = sys.argv[1], float(sys.argv[2])
D_MODEL, ENCODER, DECODER, FFN = map(int, sys.argv[3:7])
TOKENS_PER_BATCH, SMOOTHING = 2400, 0.1
PEAK_LR, WARM_UP, MEAN_FROM, MEAN_RATE = 1e-3, 0.04, 0.7, 0.002
EOS, UNK = 0, 1

torch.manual_seed(1)
random.seed(1)
torch.set_num_threads(2)
os.makedirs(OUT, exist_ok=True)

sp = spm.SentencePieceProcessor(model_file='joint.model')
vocab = json.load(open('vocab.json'))
pieces = {i: p for p, i in vocab.items()}
PAD = len(vocab) - 1


def encode(text):
    return [vocab.get(p, UNK) for p in sp.encode(text, out_type=str)]


def decode(ids):
    return sp.decode([pieces[i] for i in ids if i not in (EOS, PAD, UNK)])


def read(name):
    return [line.rstrip('\n').split('\t') for line in open(name + '.tsv')]


def padded(rows):
    n = max(map(len, rows))
    return torch.tensor([r + [PAD] * (n - len(r)) for r in rows])


def without_stop(de, en):
    if de.endswith('.') and en.endswith('.') and len(de) > 1 and len(en) > 1:
        return encode(de[:-1]), encode(en[:-1])
    return None


def batches(pairs, stripped):
    """One epoch, augmented anew, grouped by length, in random order."""
    items = []
    for i in range(len(pairs)):
        item = stripped[i] if stripped[i] and random.random() < 0.15 else pairs[i]
        if random.random() < 0.06:
            for _ in range(2 if random.random() < 0.4 else 1):
                other = random.choice(pairs)
                item = (item[0] + other[0], item[1] + other[1])
        items.append(item)
    items.sort(key=lambda a: (len(a[1]) + random.random() * 1.5,
                              len(a[0]) + random.random() * 2))
    out, batch, width = [], [], 0
    for source, target in items:
        wider = max(width, len(target) + 1, len(source) + 1)
        if batch and wider * (len(batch) + 1) > TOKENS_PER_BATCH:
            out.append(batch)
            batch, wider = [], max(len(target), len(source)) + 1
        batch.append((source + [EOS], target + [EOS]))
        width = wider
    out.append(batch)
    random.shuffle(out)
    return out


def new_model():
    config = MarianConfig(
        vocab_size=len(vocab), d_model=D_MODEL,
        encoder_layers=ENCODER, decoder_layers=DECODER,
        encoder_attention_heads=D_MODEL // 64,
        decoder_attention_heads=D_MODEL // 64,
        encoder_ffn_dim=FFN, decoder_ffn_dim=FFN,
        activation_function='swish', max_position_embeddings=256,
        scale_embedding=True, static_position_embeddings=True,
        share_encoder_decoder_embeddings=True, tie_word_embeddings=True,
        pad_token_id=PAD, eos_token_id=EOS, bos_token_id=EOS,
        decoder_start_token_id=PAD, forced_eos_token_id=EOS,
        dropout=0.1, attention_dropout=0.0, activation_dropout=0.0,
        init_std=0.02)
    config._attn_implementation = 'eager'
    return MarianMTModel(config)


class SmoothedCrossEntropy(torch.autograd.Function):
    """Mean label-smoothed cross entropy of hidden @ table.T, 512 rows at a
    time: the full [tokens, vocabulary] float32 matrix is never written."""

    @staticmethod
    def forward(ctx, hidden, table, target):
        n, size = len(target), len(table)
        off = SMOOTHING / size
        loss = 0.0
        d_hidden, d_table = torch.empty_like(hidden), torch.zeros_like(table)
        for i in range(0, n, 512):
            h, t = hidden[i:i + 512], target[i:i + 512, None]
            logp = torch.log_softmax((h @ table.t()).float(), -1)
            loss -= ((1 - SMOOTHING) * logp.gather(1, t).sum() + off * logp.sum()).item()
            grad = logp.exp_().sub_(off)
            grad.scatter_add_(1, t, torch.full_like(t, -(1 - SMOOTHING), dtype=grad.dtype))
            grad = grad.mul_(1 / n).to(h.dtype)
            d_hidden[i:i + 512] = grad @ table
            d_table += grad.t() @ h
        ctx.save_for_backward(d_hidden, d_table)
        return hidden.new_tensor(loss / n, dtype=torch.float32)

    @staticmethod
    def backward(ctx, scale):
        d_hidden, d_table = ctx.saved_tensors
        return d_hidden * scale, d_table * scale, None


def loss_of(model, batch):
    source = padded([s for s, _ in batch])
    target = padded([t for _, t in batch])
    start = torch.full((len(batch), 1), PAD)
    inputs = torch.cat([start, target[:, :-1]], 1)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        hidden = model.model(
            input_ids=source, attention_mask=(source != PAD).long(),
            decoder_input_ids=inputs, use_cache=False,
            decoder_attention_mask=torch.ones_like(inputs)).last_hidden_state
    real = target != PAD
    return SmoothedCrossEntropy.apply(
        hidden[real].bfloat16(), model.lm_head.weight.bfloat16(), target[real])


# Drawing a fresh mask for each dropout takes a tenth of the time on a CPU; a
# slice at a random place of one long mask does as well.
DROPPED = (torch.rand(1 << 26) >= 0.1).bfloat16() / 0.9


def sliced_dropout(x, p=0.5, training=True, inplace=False):
    if not training or p == 0:
        return x
    at = random.randrange(len(DROPPED) - x.numel())
    return x * DROPPED[at:at + x.numel()].view(x.shape)


torch.nn.functional.dropout = sliced_dropout


def learning_rate(done):
    if done < WARM_UP:
        return PEAK_LR * done / WARM_UP
    falling = (done - WARM_UP) / (1 - WARM_UP)
    return PEAK_LR * (0.5 * (1 + math.cos(math.pi * falling)) * 0.98 + 0.02)


@torch.no_grad()
def update_mean(mean, model):
    state = model.state_dict()
    if mean is None:
        return {k: v.clone() for k, v in state.items()}
    for k, v in state.items():
        if v.is_floating_point():
            mean[k].lerp_(v, MEAN_RATE)
    return mean


@torch.no_grad()
def evaluate(model, rows, name):
    model.eval()
    out = []
    for i in range(0, len(rows), 64):
        source = padded([encode(de)[:200] + [EOS] for de, _ in rows[i:i + 64]])
        out += [decode(ids.tolist()) for ids in model.generate(
            input_ids=source, attention_mask=(source != PAD).long(),
            max_new_tokens=60)]
    model.train()
    reference = [[en for _, en in rows]]
    print(name, 'BLEU %.2f chrF %.2f' % (
        sacrebleu.corpus_bleu(out, reference).score,
        sacrebleu.corpus_chrf(out, reference).score), flush=True)


def save(model):
    model.generation_config.bad_words_ids = [[PAD]]
    model.save_pretrained(OUT)
    for name in ('source.spm', 'target.spm', 'vocab.json'):
        shutil.copy(name, OUT)


def train():
    train_rows = read('train')
    pairs = [(encode(de), encode(en)) for de, en in train_rows]
    stripped = [without_stop(de, en) for de, en in train_rows]
    model = new_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0, fused=True,
                                  betas=(0.9, 0.98), eps=1e-9,
                                  weight_decay=0.01)
    print(sum(p.numel() for p in model.parameters()), 'parameters', flush=True)
    spent, step, mean = 0.0, 0, None
    checkpoint = os.path.join(OUT, 'checkpoint.pt')
    if os.path.exists(checkpoint):
        old = torch.load(checkpoint)
        model.load_state_dict(old['model'])
        optimizer.load_state_dict(old['optimizer'])
        spent, step, mean = old['spent'], old['step'], old['mean']
        random.seed(step)
    model.train()
    saved, loss_sum = spent, 0.0
    while spent < BUDGET:
        for batch in batches(pairs, stripped):
            if spent >= BUDGET:
                break
            began = time.time()
            for group in optimizer.param_groups:
                group['lr'] = learning_rate(spent / BUDGET)
            loss = loss_of(model, batch)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            with torch.no_grad():  # decoding starts from a zero embedding, as
                model.model.shared.weight[PAD] = 0  # in the models of OPUS-MT
            step += 1
            loss_sum += loss.item()
            if spent > MEAN_FROM * BUDGET:
                mean = update_mean(mean, model)
            spent += min(time.time() - began, 3)   # a longer step was a pause
            if step % 200 == 0:
                print('step %d, %.1f %%, loss %.3f' % (
                    step, 100 * spent / BUDGET, loss_sum / 200), flush=True)
                loss_sum = 0.0
            if spent - saved > 300:
                saved = spent
                torch.save({'model': model.state_dict(), 'mean': mean,
                            'optimizer': optimizer.state_dict(),
                            'spent': spent, 'step': step}, checkpoint + '.tmp')
                os.replace(checkpoint + '.tmp', checkpoint)
                save(model)
    model.load_state_dict(mean)
    save(model)
    evaluate(model, read('valid'), 'valid')
    evaluate(model, read('test'), 'test')


if __name__ == '__main__':
    train()
