-- The folders of src/ are layers: a file includes headers of its own layer and
-- of those above it in this list, never of those below (DESIGN, section 1).

local layers = {"base", "math", "tensor", "format", "text", "model", "decode",
                "lua"}
local depth = {}
for i, name in ipairs(layers) do depth[name] = i end

local function lines_of(command)
  local pipe = assert(io.popen(command))
  local text = pipe:read "a"
  pipe:close()
  return text:gmatch "[^\n]+"
end

describe("the layers of src/", function()
  it("include only headers of their own or a higher layer", function()
    local wrong, seen = {}, 0
    for line in lines_of "grep -rnE '^ *# *include +\"' src" do
      local file, layer, header = line:match '^(src/(%w+)/[^:]+):.-"(%w+)/'
      seen = seen + 1
      if not file or not depth[header] or depth[header] > depth[layer]
         or (layer == "decode" and header == "model") then
        wrong[#wrong + 1] = line
      end
    end
    assert.is_true(seen > 20)
    assert.same({}, wrong)
  end)

  it("name lua.h in the bindings alone", function()
    local wrong = {}
    for line in lines_of "grep -rnE 'include +<(lua|lauxlib|lualib)' src" do
      if not line:match "^src/lua/" then wrong[#wrong + 1] = line end
    end
    assert.same({}, wrong)
  end)
end)
