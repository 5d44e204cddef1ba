// compile_ksy.js LANGUAGE FOLDER: what kaitai-struct-compiler makes of all .ksy files in a folder
const fs = require("fs");
const compiler = require("kaitai-struct-compiler");
const yaml = require("js-yaml");

const [language, folder] = process.argv.slice(2);

async function all() {
  for (const file of fs.readdirSync(folder).filter((name) => name.endsWith(".ksy"))) {
    const described = yaml.load(fs.readFileSync(`${folder}/${file}`, "utf8"));
    const made = await compiler.compile(language, described, null, false);
    for (const name of Object.keys(made)) fs.writeFileSync(`${folder}/${name}`, made[name]);
  }
}

all().catch((error) => {
  console.error(String(error));
  process.exit(1);
});
