-- The command-line program, from outside: what it prints and how it ends.

local shell = require "spec.support.shell"
local run, quote = shell.run, shell.quote

local DECANT <const> = quote(arg[-1] or "lua5.4") .. " bin/decant "

local function decant(words, input)
  return run(DECANT .. words, input)
end

local function lines_of(text)
  local lines = {}
  for line in text:gmatch "([^\n]*)\n" do lines[#lines + 1] = line end
  return lines
end

describe("decant", function()
  it("shows all commands, options and config fields with --help", function()
    local result = decant "--help"
    assert.equal(0, result.status)
    assert.equal("", result.err)
    for _, word in ipairs {
      "translate", "generate", "tokenize", "inspect FILE", "convert [options]",
      "info", "--model", "--strategy", "--threads", "--type", "--version",
      "Exit status",
    } do
      assert.truthy(result.out:find(word, 1, true), word)
    end
    for _, field in ipairs(require "decant.cli.fields") do
      local option = "--" .. field[1]:gsub("_", "-") .. " "
      assert.truthy(result.out:find(option, 1, true), option)
    end
  end)

  it("offers every config field that a word can say, and no other", function()
    local offered = {
      -- functions, tables by id, and what options of their own say
      "on_token", "prefix_allowed_tokens_fn", "processors", "sequence_bias",
      "source_mask", "strategy", "threads", "batch_size", "stopping_criteria",
      "logprobs", "top_logprobs", "output_attentions",
      "watermarking_config", "session",
      "assistant_model", "assistant_confidence_threshold",
      "num_assistant_tokens", "inner_strategy", "reward",
    }
    for _, field in ipairs(require "decant.cli.fields") do
      offered[#offered + 1] = field[1]
    end
    table.sort(offered)
    assert.same(require "decant.config".fields, offered)
  end)

  it("shows the options of one command with COMMAND --help", function()
    local result = decant "convert --help"
    assert.equal(0, result.status)
    assert.truthy(result.out:find("usage: decant convert", 1, true))
    assert.truthy(result.out:find("--type", 1, true))
    assert.falsy(result.out:find("--num-beams", 1, true))
  end)

  it("prints its version", function()
    local result = decant "--version"
    assert.equal(0, result.status)
    assert.truthy(result.out:find "^decant %d+%.%d+%.%d+\n$")
  end)

  it("is called through symbolic links and from any directory", function()
    local dir = shell.directory()
    local result = run(([[
      root=$PWD && ln -s "$root/bin/decant" %s/other && cd / &&
      %s/other --version]]):format(quote(dir), quote(dir)))
    run("rm -r " .. quote(dir))
    assert.equal("", result.err)
    assert.equal(0, result.status)
  end)

  it("has the exit status 2 and one sentence for wrong usage", function()
    local cases = {
      {"", "no command given; they are: translate"},
      {"tranlate Hallo", "unknown command 'tranlate'; the nearest one is "
                         .. "'translate'"},
      {"translate --num-beam 4", "unknown option --num-beam; the nearest one "
                                 .. "is --num-beams"},
      {"translate --no-num-beam", "the nearest one is --no-num-beams"},
      {"translate -x", "unknown option -x"},
      {"translate --model", "--model needs a value"},
      {"translate --num-beams=four", "--num-beams: 'four' is not a whole"},
      {"translate --num-beams 1.5", "--num-beams: '1.5' is not a whole"},
      {"translate --suppress-tokens 1,x", "'1,x' is not token ids"},
      {"translate --do-sample=maybe", "'maybe' is not true or false"},
      {"translate --no-do-sample=true", "--no-do-sample takes no value"},
      {"translate --strategy gredy Hallo", "the nearest one is greedy"},
      {"translate --num-beams 0 Hallo", "num_beams"},
      {"translate --top-p 1.5 Hallo", "top_p"},
      {"translate --threads 0 Hallo", "--threads: is 0, must be from 1 to 64"},
      {"translate --threads 65 Hallo",
       "--threads: is 65, must be from 1 to 64"},
      {"translate --batch 0 Hallo", "--batch: must be at least 1"},
      {"inspect", "inspect: 1 word expected, got 0"},
      {"convert a", "convert: 2 words expected, got 1"},
      {"info all", "info: 0 words expected, got 1"},
      {"tokenize --side left x", "neither source nor target"},
    }
    for _, case in ipairs(cases) do
      local result = decant(case[1])
      assert.equal(2, result.status, case[1] .. ": " .. result.err)
      assert.equal("", result.out)
      assert.truthy(result.err:find(case[2], 1, true), result.err)
      assert.equal(2, #lines_of(result.err), result.err)
    end
  end)

  it("has the exit status 1 and names the file when one is bad", function()
    for _, words in ipairs {
      "translate --model /no/such.gguf Hallo", "inspect /no/such.gguf",
      "convert /no/such /tmp/never.gguf", "tokenize --model /no/such.spm x",
    } do
      local result = decant(words)
      assert.equal(1, result.status, words)
      assert.equal("", result.out)
      assert.truthy(result.err:find("^decant: .*/no/such"), result.err)
      assert.equal(1, #lines_of(result.err), result.err)
    end
  end)

  it("lists the bundled models when a name is not one of them", function()
    local result = decant "translate --model de-fr Hallo"
    assert.equal(1, result.status)
    assert.truthy(result.err:find("de-fr", 1, true), result.err)
    assert.truthy(result.err:find("de-en", 1, true), result.err)
  end)

  it("tells about itself with info", function()
    local result = decant "info"
    assert.equal(0, result.status)
    for _, word in ipairs {"version", "isa", "threads", "openmp", "de-en"} do
      assert.truthy(result.out:find(word, 1, true), result.out)
    end
  end)
end)

describe("decant translate", function()
  it("prints one line for each argument, in order", function()
    local both = decant "translate 'Der Hund läuft.' 'Ich bin müde.'"
    assert.equal("", both.err)
    assert.equal(0, both.status)
    local first = decant "translate 'Der Hund läuft.'"
    local second = decant "translate 'Ich bin müde.'"
    assert.equal(first.out .. second.out, both.out)
    assert.equal(2, #lines_of(both.out))
  end)

  it("is a filter: one line out for one line in, empty ones too", function()
    local input = "Der Hund läuft.\n\nIch bin müde.\nDanke."
    local result = decant("translate", input)
    assert.equal(0, result.status, result.err)
    local lines = lines_of(result.out)
    assert.equal(4, #lines)
    assert.equal("", lines[2])
    assert.equal(decant "translate Danke.".out, lines[4] .. "\n")
    assert.equal(result.out, decant("translate --batch 1", input).out)
    assert.equal(result.out, decant("translate --batch 3", input).out)
  end)

  it("prints nothing for no line", function()
    local result = decant("translate", "")
    assert.same({0, "", ""}, {result.status, result.out, result.err})
  end)

  it("takes strategies and config fields", function()
    local text = " 'Das Wetter ist heute sehr schön.'"
    local greedy = decant("translate --strategy greedy" .. text)
    local one_beam = decant("translate --num-beams 1 --no-do-sample" .. text)
    assert.equal(0, greedy.status, greedy.err)
    assert.equal(greedy.out, one_beam.out)
    local beam = decant("translate --strategy beam" .. text)
    assert.equal(beam.out, decant("translate --num-beams=4" .. text).out)
    local sampled = decant("translate -s sample --seed 5 --top-k 20" .. text)
    assert.equal(0, sampled.status, sampled.err)
    assert.equal(sampled.out, decant("translate -s sample --seed=5 --top-k 20"
                                     .. text).out)
    local short = decant("translate -s greedy --max-new-tokens 2" .. text)
    assert.is_true(#short.out < #greedy.out)
  end)

  it("takes texts that look like options after --", function()
    local result = decant "translate -- --model"
    assert.equal(0, result.status, result.err)
    assert.equal(1, #lines_of(result.out))
  end)

  it("refuses a line that is too long, behind those before it", function()
    local long = ("a"):rep(65537)
    local result = decant("translate -s greedy", "Danke.\n" .. long)
    assert.equal(1, result.status)
    assert.equal(1, #lines_of(result.out))
    assert.equal("decant: line 2: it has more than 65536 bytes, the most that "
                 .. "a line may have\n", result.err)
    result = decant("tokenize", long .. "\n" .. ("b"):rep(1 << 20) .. "\n")
    assert.equal(0, result.status, result.err)
    assert.equal(2, #lines_of(result.out))
  end)

  it("holds no more of an endless line than it may have", function()
    if not shell.exists "/dev/zero" then return pending "no /dev/zero" end
    for _, command in ipairs {"translate", "generate", "tokenize"} do
      local result = decant(command .. " < /dev/zero")
      assert.equal(1, result.status)
      assert.matches("^decant: line 1: it has more than %d+ bytes", result.err)
    end
  end)

  it("says what it could not read, behind the lines before it", function()
    local result = decant "tokenize < /"
    assert.same({1, ""}, {result.status, result.out})
    assert.matches("^decant: standard input: [^\n]+\n$", result.err)
  end)

  it("survives invalid UTF-8", function()
    local result = decant("translate", "Der \xff\xc3 Hund.\n\xe4\n")
    assert.equal(0, result.status, result.err)
    assert.equal(2, #lines_of(result.out))
  end)

  it("says nothing when the reader has gone, with SIGPIPE or without",
  function()
    local input = ("Danke.\n"):rep(200)
    for _, signal in ipairs {"", "trap '' PIPE;"} do
      local result = run(signal .. DECANT .. "translate --batch 1 | head -1",
                         input)
      assert.equal("", result.err)
      assert.equal(1, #lines_of(result.out))
    end
  end)

  it("fails in one line when its output cannot be written", function()
    if not shell.exists "/dev/full" then return pending "no /dev/full" end
    local result = decant("translate Danke. > /dev/full")
    assert.equal(1, result.status)
    assert.truthy(result.err:find "^decant: cannot write: [^\n]+\n$")
  end)

  it("ends with the status 130 and in silence on Ctrl-C", function()
    -- The signal is sent when the first line has come out.
    local result = run([[
      dir=$(mktemp -d); mkfifo $dir/in
      ]] .. DECANT .. [[translate --batch 1 <$dir/in >$dir/out 2>$dir/err &
      pid=$!
      exec 3>$dir/in; echo Danke. >&3
      until test -s $dir/out; do kill -0 $pid || exit 99; sleep 0.01; done
      kill -INT $pid; wait $pid; status=$?
      cat $dir/err; rm -r $dir; exit $status]])
    assert.same({130, "", ""}, {result.status, result.out, result.err})
  end)
end)

describe("decant generate", function()
  it("writes ids with --ids, and reads them", function()
    local ids = decant "tokenize 'Der Hund läuft.'".out
    local result = decant("generate --ids -s greedy", ids)
    assert.equal(0, result.status, result.err)
    assert.truthy(result.out:find "^%d[%d ]*\n$", result.out)
    local text = decant "generate -s greedy 'Der Hund läuft.'".out
    assert.equal(text, decant("tokenize --decode", result.out).out)
    assert.equal(text, decant "translate -s greedy 'Der Hund läuft.'".out)
  end)

  it("puts score and finish in front with --scores", function()
    local result = decant "generate --scores 'Der Hund läuft.'"
    assert.truthy(result.out:find "^%-?%d+%.%d+\teos\t[^\t\n]+\n$", result.out)
  end)

  it("prints every result of --num-return-sequences", function()
    local result = decant("generate -s beam --num-return-sequences 3 "
                          .. "'Der Hund läuft.'")
    assert.equal(0, result.status, result.err)
    local lines = lines_of(result.out)
    assert.equal(3, #lines)
    assert.not_equal(lines[1], lines[2])
  end)

  it("prints the lines before a bad one and names that one", function()
    local result = decant("generate --ids", "5 6 0\n7 8 0\n9 99999999 0\n5 0\n")
    assert.equal(1, result.status)
    assert.equal(2, #lines_of(result.out))
    assert.truthy(result.err:find "^decant: line 3: [^\n]*99999999[^\n]*\n$",
                  result.err)
    result = decant("generate --ids", "5 six\n")
    assert.equal("decant: line 1: 'six' is no token id\n", result.err)
  end)
end)

describe("decant tokenize", function()
  it("prints ids or pieces, and the text of ids", function()
    local ids = decant "tokenize 'Der Hund läuft.'"
    assert.truthy(ids.out:find "^%d[%d ]*\n$", ids.out)
    local pieces = decant "tokenize --pieces 'Der Hund läuft.'"
    local joined = pieces.out:gsub(" ", ""):gsub("▁", " ")
    assert.equal(" Der Hund läuft.</s>\n", joined)
    local back = decant("tokenize --decode", ids.out)
    assert.equal("Der Hund läuft.\n", back.out)
  end)
end)

describe("decant convert", function()
  local zoo = "../shared/models/hf-zoo/marian"
  local dir

  before_each(function() dir = shell.directory() end)
  after_each(function() run("rm -rf " .. quote(dir)) end)

  it("writes a file that inspect shows and generate loads", function()
    if not shell.exists(zoo .. "/config.json") then
      return pending "needs ../shared"
    end
    local target = quote(dir .. "/m.gguf")
    local result = decant("convert --type q8_0 " .. zoo .. " " .. target)
    assert.same({0, "", ""}, {result.status, result.out, result.err})
    local shown = decant("inspect " .. target)
    assert.equal(0, shown.status, shown.err)
    assert.truthy(shown.out:find "\narchitecture +marian")
    assert.truthy(shown.out:find "q8_0")
    local made = decant("generate --ids -m " .. target, "5 6 7 0\n")
    assert.equal(0, made.status, made.err)
    assert.truthy(made.out:find "^%d[%d ]*\n$")
  end)

  it("leaves no file, whole or half, when it is interrupted", function()
    if not shell.exists(zoo .. "/config.json") then
      return pending "needs ../shared"
    end
    local cli, filter = require "decant.cli", require "decant.cli.filter"
    local terminal, seen = filter.terminal, {}
    filter.terminal = function() return false end
    finally(function() filter.terminal = terminal end)
    for n = 2000, 150000, 9000 do
      -- What the interpreter does at Ctrl-C, after n instructions.
      debug.sethook(function() error("interrupted!", 0) end, "", n)
      local status = cli {"convert", zoo, dir .. "/m.gguf"}
      debug.sethook()
      collectgarbage()
      seen[status] = true
      assert.equal(status == 0 and "m.gguf\n" or "",
                   run("ls -A " .. quote(dir)).out, n)
      os.remove(dir .. "/m.gguf")
    end
    assert.same({[0] = true, [130] = true}, seen)
  end)

  it("names an unknown type and leaves no file", function()
    local result = decant("convert --type q9 /no/such "
                          .. quote(dir .. "/m.gguf"))
    assert.equal(2, result.status)
    assert.truthy(result.err:find("'q9' is none of f32, f16, bf16,", 1, true))
    assert.equal("", run("ls " .. quote(dir)).out)
  end)
end)
