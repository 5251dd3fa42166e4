// Every way to write an address that is not public, and every way to carry one inside another.
import { expect, test } from 'vitest'
import { addressPolicy, isNetwork } from './address.ts'

const nothingNamed = addressPolicy([])

test.each([
  '8.8.8.8',
  '1.1.1.1',
  '2606:4700::1111',
  '2a00:1450:4001:800::200e',
  '::ffff:8.8.8.8', // IPv4 in IPv6
  '64:ff9b::8.8.8.8', // what a network without IPv4 makes of it
  '2002:808:808::1', // 6to4
])('%s is public', (address) => expect(nothingNamed.judge(address)).toBe('public'))

test.each([
  ['loopback', ['127.0.0.1', '127.255.255.254', '::1']],
  ['no address at all', ['0.0.0.0', '0.1.2.3', '::']],
  ['private networks', ['10.0.0.1', '172.16.0.1', '172.31.255.255', '192.168.1.1', 'fc00::1', 'fd12::1', 'fec0::1']],
  ["a cloud's own services", ['169.254.169.254', 'fe80::1', 'fe80::1%eth0', 'fd00:ec2::254', '100.100.100.200']],
  ["a carrier's own network", ['100.64.0.1', '100.127.255.255']],
  ['for documentation, for tests, and for nobody', ['192.0.2.1', '198.51.100.1', '203.0.113.1', '198.18.0.1', '192.0.0.1', '2001:db8::1', '3fff::1', '100::1']],
  ['many, and all', ['224.0.0.1', '239.255.255.255', '255.255.255.255', '240.0.0.1', 'ff02::1']],
  ['given to nobody yet', ['4000::1', '5f00::1', 'e000::1']],
  ['IPv4 in IPv6', ['::ffff:127.0.0.1', '::ffff:7f00:1', '::ffff:10.0.0.1', '::127.0.0.1', '::7f00:1', '::ffff:0:127.0.0.1']],
  ['translated', ['64:ff9b::127.0.0.1', '64:ff9b::a00:1', '64:ff9b:1::8.8.8.8', '64:ff9b:1:7f00:0:100:808:808']],
  ['6to4', ['2002:7f00:1::', '2002:a00:1::1', '2002:a9fe:a9fe::']],
  ['Teredo, its server or its client', ['2001:0:7f00:1::f7f7:f7f7', '2001:0:808:808::80ff:fffe']],
  ['ISATAP', ['2a00:1450::5efe:127.0.0.1', '2a00:1450::200:5efe:a00:1']],
  ['nothing that can be read', ['', 'localhost', '2130706433', '0x7f.1', '127.1', '1.2.3.4.5', '[::1]']],
])('refused: %s', (_, addresses) => {
  expect(addresses.map((address) => [address, nothingNamed.judge(address)])).toEqual(addresses.map((address) => [address, 'refused']))
})

test('what an operator has named may be called, and nothing beside it', () => {
  const policy = addressPolicy(['127.0.0.0/8', '10.1.0.0/16', 'fd00:1::/32'])
  const judged = (address: string) => policy.judge(address)
  expect(['127.0.0.1', '10.1.2.3', 'fd00:1::7', '::ffff:10.1.2.3', '64:ff9b::10.1.2.3'].map(judged)).toEqual(Array.from({ length: 5 }, () => 'named'))
  expect(['10.2.0.1', 'fd00:2::7', '::1', '::ffff:10.2.0.1', '2002:a02:1::'].map(judged)).toEqual(Array.from({ length: 5 }, () => 'refused'))
  expect(judged('8.8.8.8')).toBe('public')
})

test('networks are told from what is none', () => {
  expect(['10.0.0.0/8', 'fd00::/8', '127.0.0.1/32', '0.0.0.0/0'].every(isNetwork)).toBe(true)
  expect(['10.0.0.0', '10.0.0.0/33', 'private', '', '10/8'].filter(isNetwork)).toEqual([])
})
