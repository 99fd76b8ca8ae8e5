// A webhook as a user would write it: node intake.mjs KIND REDIS_PORT. It says the port that it took, and ends on SIGTERM.
import { readFileSync } from 'node:fs'
import express from 'express'
import Fastify from 'fastify'
import Redis from 'ioredis'
import { Queue } from 'bullmq'

const [kind, redisPort] = process.argv.slice(2)
const path = '/webhook/whatsapp/batched'
const QUIET_MS = 3_600_000
const MOST = 10
const DEDUPE_S = 86_400

// BullMQ asks for its own form of a connection; everybody else has one ordinary one.
const redis = kind === 'bullmq' ? null : new Redis(Number(redisPort), '127.0.0.1')
redis?.defineCommand('addMessage', { numberOfKeys: 5, lua: readFileSync(new URL('./add.lua', import.meta.url), 'utf8') })

const build = (body) => JSON.stringify({
  message: body.message, companyId: body.companyId ?? null, messageId: body.messageId, type: 'text', metadata: {},
  timestamp: Date.now(),
})

async function addByScript(body) {
  const phone = body.from
  const [added, size] = await redis.addMessage(
    `seen:${body.messageId}`, `rapid-fire:${phone}`, `last-msg:${phone}`, 'due', 'out',
    DEDUPE_S, build(body), body.message, phone, QUIET_MS, MOST,
  )
  return { success: true, addedCount: added, size }
}

// The way of the Node service: command after command. A crash in between leaves half of the work.
async function addByCommands(body) {
  const phone = body.from
  const key = `rapid-fire:${phone}`
  if (await redis.set(`seen:${body.messageId}`, '1', 'EX', DEDUPE_S, 'NX') === null) return { success: true, addedCount: 0 }
  const size = await redis.rpush(key, build(body))
  await redis.expire(key, QUIET_MS / 1000)
  await redis.set(`last-msg:${phone}`, Date.now(), 'PX', 86_400_000)
  await redis.zadd('due', Date.now() + QUIET_MS, phone)
  if (size >= MOST) {
    const items = await redis.lrange(key, 0, -1)
    const text = items.map((item) => JSON.parse(item).message).join(' ')
    await redis.xadd('out', '*', 'phone', phone, 'text', text, 'count', items.length, 'reason', 'size',
      'messages', `[${items.join(',')}]`)
    await redis.del(key)
    await redis.zrem('due', phone)
  }
  return { success: true, addedCount: 1, size }
}

function addToQueue() {
  const queue = new Queue('messages', { connection: { host: '127.0.0.1', port: Number(redisPort) } })
  return async (body) => {
    await queue.add('message', body, { jobId: `m-${body.messageId}` })
    return { success: true, addedCount: 1 }
  }
}

function serveExpress(add) {
  const app = express()
  app.use(express.json())
  app.post(path, async (request, response) => {
    try {
      response.json(await add(request.body))
    } catch (problem) {
      response.status(503).json({ success: false, error: problem.message })
    }
  })
  return new Promise((resolve) => { const server = app.listen(0, '127.0.0.1', () => resolve(server.address().port)) })
}

async function serveFastify(add) {
  const app = Fastify()
  app.post(path, async (request) => add(request.body))
  await app.listen({ port: 0, host: '127.0.0.1' })
  return app.server.address().port
}

const kinds = {
  'express-commands': () => serveExpress(addByCommands),
  'express-script': () => serveExpress(addByScript),
  'fastify-script': () => serveFastify(addByScript),
  bullmq: () => serveExpress(addToQueue()),
}

process.on('SIGTERM', () => process.exit(0))
console.log(`listening ${await kinds[kind]()}`)
