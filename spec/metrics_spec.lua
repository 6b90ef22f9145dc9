-- decant.metrics against sacreBLEU 2.6.0: spec/support/metrics.py.

local metrics = require "decant.metrics"

local cases = {
  {"the cat sat on the mat", "the cat sat on a mat", 72.084832, 53.728497},
  {"The dog is running .", "The dog runs .", 46.359379, 23.643540},
  {"a", "a", 100, 100},
  {"Guten Morgen, Welt!", "Guten Abend, Welt!", 44.455319, 42.728701},
  {"xyz", "abc", 0, 0},
  {"the dark forest for the dark forest",
   "the old man walked home through the dark forest", 37.085146, 19.740631},
  {"über das Öl", "über das Oel", 61.034534, 55.032121},
}

describe("metrics", function()
  for _, case in ipairs(cases) do
    it("give sacreBLEU's scores for '" .. case[1] .. "'", function()
      assert.near(case[3], metrics.chrf(case[1], case[2]), 1e-6)
      assert.near(case[4], metrics.bleu(case[1], case[2]), 1e-6)
    end)
  end

  it("ask for two texts", function()
    for name, metric in pairs(metrics) do
      assert.has_error(function() metric("a", {1}) end, "metrics." .. name
                       .. ": two texts expected, got a string and a table")
    end
  end)

  it("give 0 where a text is empty", function()
    for _, pair in ipairs{{"", "a"}, {"a", ""}, {"", ""}} do
      assert.equal(0, metrics.chrf(pair[1], pair[2]))
      assert.equal(0, metrics.bleu(pair[1], pair[2]))
    end
  end)
end)
