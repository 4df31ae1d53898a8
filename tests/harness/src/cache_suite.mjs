// The origin and the client of the suite http-cache-tests in one process. The suite is another's work, found in the folder
// that is the one argument; here is only what starts it on a port of the loopback and prints what it found.
//
// Prints `origin PORT`. `GET /begin/HOST:PORT` has the tests asked of a gateway at that address; then comes one line
// `result KIND ID` for each test passed, with the suite's words behind it for each that failed, and `end`.

import http from 'node:http'
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const folder = `${process.argv[2]}/node_modules`
const load = file => import(pathToFileURL(`${folder}/http-cache-tests/${file}`))
const [runner, tests, config, state, test] = await Promise.all([
  load('client/runner.mjs'),
  load('tests/index.mjs'),
  load('server/handle-config.mjs'),
  load('server/handle-state.mjs'),
  load('server/handle-test.mjs')
])
const fetch = createRequire(`${folder}/`)('node-fetch')
const handlers = { config: config.default, state: state.default, test: test.default }

async function ask (authority) {
  await runner.runTests(tests.default, fetch, false, `http://${authority}`)
  const results = runner.getResults()
  for (const { id, kind, browser_only: isForBrowsers } of tests.default.flatMap(suite => suite.tests)) {
    if (isForBrowsers) continue
    const failure = results[id] === true ? '' : ` ${[results[id]].flat().join(': ')}`
    console.log(`result ${kind || 'required'} ${id}${failure.replaceAll('\n', ' ')}`)
  }
  console.log('end')
}

const server = http.createServer((request, response) => {
  const [what, ...rest] = new URL(request.url, 'http://origin').pathname.slice(1).split('/')
  if (what === 'begin') {
    response.writeHead(202).end()
    return ask(rest[0])
  }
  const handler = handlers[what]
  return handler ? handler(rest, request, response) : response.writeHead(404).end()
})
server.listen(0, '127.0.0.1', () => console.log(`origin ${server.address().port}`))
