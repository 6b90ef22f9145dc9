"""speed.py bundled|base BEAMS [ROUNDS]: encoder-decoders beside their peers.

`bundled` is the bundled model on sentences of the held-out pairs, `base` the
size of the Transformer base (6+6 layers, width 512, 32,000 tokens) with random
weights, 32 tokens in and 32 out. One sentence (the mean over some of them, one
after the other) and a batch of 32, greedy (1) or with beams, float32 and 8-bit
weights. All candidates of a row run in turn, A B C A B C, and the table gives
medians, so a noisy machine is noisy to all of them. Ids in, ids out: no
tokenizer is measured.

decant uses all processors. CTranslate2 is run in both ways that it has to use
them, threads inside one batch and batches side by side on one thread each (of
one sentence: one thread), and the faster one counts, found anew for each row.

Everything is in build/bench, where bench/run.sh put it.
"""
import json
import os
import platform
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
WORK = os.path.join(ROOT, 'build/bench')
THREADS = len(os.sched_getaffinity(0))
sys.path.insert(0, ROOT + '/models/training')


class Bundled:
    directory = os.path.join(WORK, 'hf')
    decant = {'q8_0': 'de-en', 'f32': 'build/bench/de-en-f32.gguf'}
    least, most = 0, 64
    singles = 32  # sentences of the row "one sentence"

    def sentences(self, n):
        """Every k-th held-out German sentence, as Marian ids."""
        import sentencepiece
        from prepare import split
        test = split(ROOT + '/../shared/data/tatoeba-deu-eng/deu.txt.gz')[2]
        sp = sentencepiece.SentencePieceProcessor(
            model_file=self.directory + '/source.spm')
        vocab = read_vocab(self.directory)
        chosen = [de for de, _ in test[::len(test) // n][:n]]
        return [[vocab.get(p, 1) for p in sp.encode(de, out_type=str)] + [0]
                for de in chosen]


class Base:
    directory = os.path.join(WORK, 'base')
    decant = {'q8_0': 'build/bench/base-q8_0.gguf',
              'f32': 'build/bench/base-f32.gguf'}
    least = most = 32
    singles = 2

    def sentences(self, n):
        return [[(i * 37 + k * 1009) % 31990 + 2 for i in range(31)] + [0]
                for k in range(n)]


def read_vocab(directory):
    with open(directory + '/vocab.json') as f:
        return json.load(f)


class Decant:
    def __init__(self, model, kind):
        self.name, self.model = 'decant ' + kind, model
        self.process = subprocess.Popen(
            ['lua5.4', 'bench/speed.lua'], cwd=ROOT, text=True, bufsize=1,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.ask(f'load {model.decant[kind]} {THREADS}')

    def ask(self, line):
        self.process.stdin.write(line + '\n')
        self.process.stdin.flush()
        return self.process.stdout.readline()

    def warm_up(self, run):
        run()

    def run(self, batch, beams):
        self.ask('clear')
        for ids in batch:
            self.ask('ids ' + ' '.join(map(str, ids)))
        answer = self.ask(f'run {beams} {self.model.least} {self.model.most}')
        seconds, tokens = answer.split()
        return float(seconds), int(tokens)


class Transformers:
    def __init__(self, model):
        import torch
        from transformers import MarianMTModel
        torch.set_num_threads(THREADS)
        self.name, self.torch = 'transformers f32', torch
        self.model = MarianMTModel.from_pretrained(model.directory).eval()
        self.pad, self.most = self.model.config.pad_token_id, model.most

    def warm_up(self, run):
        run()

    def run(self, batch, beams):
        longest = max(map(len, batch))
        ids = self.torch.tensor(
            [x + [self.pad] * (longest - len(x)) for x in batch])
        began = time.perf_counter()
        with self.torch.inference_mode():
            out = self.model.generate(
                input_ids=ids, attention_mask=(ids != self.pad).long(),
                num_beams=beams, max_new_tokens=self.most,
                early_stopping=beams > 1)
        seconds = time.perf_counter() - began
        return seconds, int((out[:, 1:] != self.pad).sum())


def convert_for_ctranslate2(source, target):
    """The converter asks a tokenizer for names only; vocab.json has them."""
    from ctranslate2.converters import TransformersConverter

    class Names:
        eos_token, unk_token = '</s>', '<unk>'

        def get_vocab(self):
            return read_vocab(source)

    class Converter(TransformersConverter):
        def load_tokenizer(self, *args, **options):
            return Names()

    Converter(source).convert(target)


class CTranslate2:
    def __init__(self, model, kind):
        import ctranslate2
        self.name, self.model = 'CTranslate2 ' + kind, model
        path = model.directory + '-ct2'
        if not os.path.exists(path):
            convert_for_ctranslate2(model.directory, path)
        self.pieces = {i: p for p, i in read_vocab(model.directory).items()}
        # (batches side by side, threads of each)
        ways = {(1, THREADS), (THREADS, 1)}
        self.ways = [(side_by_side, ctranslate2.Translator(
            path, compute_type=kind.replace('f32', 'float32'),
            inter_threads=side_by_side, intra_threads=threads))
            for side_by_side, threads in sorted(ways)]
        self.way = self.ways[0]

    def warm_up(self, run):
        """Finds the faster way."""
        def seconds(way):
            self.way = way
            return run()[0]
        self.way = min(self.ways, key=seconds)

    def run(self, batch, beams):
        side_by_side, translator = self.way
        tokens = [[self.pieces[i] for i in ids] for ids in batch]
        began = time.perf_counter()
        out = translator.translate_batch(
            tokens, beam_size=beams, max_decoding_length=self.model.most,
            min_decoding_length=self.model.least,
            max_batch_size=-(-len(batch) // side_by_side))
        seconds = time.perf_counter() - began
        lengths = [len(r.hypotheses[0]) for r in out]
        return seconds, sum(min(n + 1, self.model.most) for n in lengths)


def one_by_one(candidate, batch, beams):
    runs = [candidate.run([ids], beams) for ids in batch]
    return sum(s for s, _ in runs), sum(n for _, n in runs)


def together(candidate, batch, beams):
    return candidate.run(batch, beams)


def row(candidates, batch, beams, work, rounds):
    """Medians of (sentences/s, tokens/s) of each, runs interleaved."""
    figures = [[] for _ in candidates]
    for candidate in candidates:
        candidate.warm_up(lambda: work(candidate, batch, beams))
    for _ in range(rounds):
        for candidate, list_ in zip(candidates, figures):
            seconds, tokens = work(candidate, batch, beams)
            list_.append((len(batch) / seconds, tokens / seconds))
    return [tuple(statistics.median(x) for x in zip(*list_))
            for list_ in figures]


def processor():
    for line in open('/proc/cpuinfo'):
        if line.startswith('model name'):
            return line.split(':')[1].strip()
    return platform.machine()


def candidates_of(model):
    list_ = [Decant(model, 'q8_0'), Decant(model, 'f32'),
             CTranslate2(model, 'int8'), CTranslate2(model, 'f32')]
    return list_ + [Transformers(model)] if isinstance(model, Bundled) \
        else list_


def main(which, beams, rounds=3):
    model = {'bundled': Bundled, 'base': Base}[which]()
    search = 'greedy' if beams == 1 else f'beam {beams}'
    batch = model.sentences(32)
    candidates = candidates_of(model)
    names = [candidate.name for candidate in candidates]
    print(f'{time.strftime("%Y-%m-%d")}, {processor()}, {THREADS} processors, '
          f'{which} model, {rounds} rounds in turn, medians: sentences/s '
          '(tokens/s)\n')
    print('| search | input | ' + ' | '.join(names)
          + ' | int8 ratio | f32 ratio |')
    print('|---' * (len(names) + 4) + '|')
    for work, label, sentences in (
            (one_by_one, 'one sentence', batch[:model.singles]),
            (together, 'batch of 32', batch)):
        cells = row(candidates, sentences, beams, work, rounds)
        print(f'| {search} | {label} | ' + ' | '.join(
            f'{s:.1f} ({t:.0f})' for s, t in cells) + ' | %.2f | %.2f |'
            % (cells[0][1] / cells[2][1], cells[1][1] / cells[3][1]),
            flush=True)


if __name__ == '__main__':
    main(sys.argv[1], *map(int, sys.argv[2:]))
