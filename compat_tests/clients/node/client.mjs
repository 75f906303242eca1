// Drives kubo-rpc-client against one address and prints what it saw as JSON lines.
import { createReadStream } from 'node:fs'
import { create } from 'kubo-rpc-client'

const ipfs = create({ url: process.argv[2] })

async function step (name, work) {
  try {
    const value = await work()
    console.log(JSON.stringify({ step: name, value: value === undefined ? null : value }))
    return value
  } catch (error) {
    console.log(JSON.stringify({ step: name, error: error.message }))
  }
}

async function all (source) {
  const values = []
  for await (const value of source) values.push(value)
  return values
}

if (process.argv[3] === 'add') {
  await step('add only', async () => {
    const added = await ipfs.add(createReadStream(process.argv[4]), { progress: () => {} })
    return added.cid.toString()
  })
  process.exit(0)
}
await step('version', async () => (await ipfs.version()).version)
const added = await ipfs.add('from kubo-rpc-client\n')
await step('add', async () => [added.path, added.cid.toString(), added.size])
await step('add all', async () => {
  const files = [{ path: 'd/a', content: 'a' }, { path: 'd/b', content: 'b' }]
  return (await all(ipfs.addAll(files))).map(entry => [entry.path, entry.cid.toString()])
})
const wrapped = await all(ipfs.addAll([{ path: 'x', content: 'x' }], { wrapWithDirectory: true, pinName: 'wrapped' }))
await step('wrapped', async () => wrapped.map(entry => [entry.path, entry.cid.toString()]))
let seen = 0
await step('progress', async () => {
  await ipfs.add(new Uint8Array(1000000), { progress: bytes => { seen = bytes } })
  return seen
})
await step('pin ls one', async () => (await all(ipfs.pin.ls({ paths: added.cid }))).map(pin => [pin.cid.toString(), pin.type]))
await step('pin ls', async () =>
  (await all(ipfs.pin.ls({ type: 'recursive' }))).map(pin => pin.cid.toString()).includes(added.cid.toString()))
await step('pin add', async () => (await ipfs.pin.add(added.cid, { name: 'js' })).toString())
await step('cat', async () => Buffer.concat(await all(ipfs.cat(added.cid))).toString())
await step('pin rm', async () => (await ipfs.pin.rm(added.cid)).toString())
await step('pin rm again', async () => (await ipfs.pin.rm(added.cid)).toString())
await step('pin ls unpinned', async () => all(ipfs.pin.ls({ paths: added.cid })))
await step('pin direct', async () => (await ipfs.pin.add(added.cid, { recursive: false })).toString())
await step('pin rm direct', async () => (await ipfs.pin.rm(added.cid, { recursive: false })).toString())
await step('files', async () => {
  await ipfs.files.write('/js', 'content', { create: true })
  const stat = await ipfs.files.stat('/js')
  await ipfs.files.rm('/js')
  return stat.cid.toString()
})
