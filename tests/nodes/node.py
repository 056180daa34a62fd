#!/usr/bin/python3
"""The commands of a test's node, which keep honest state: what was not done has not happened.

Started under the name of the command it stands for. The node's own state is in /etc/node; what nodes of one cluster share is in
the folder of its number, which a node learns over SSH from a member and from nobody else.
"""
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

STATE = Path('/etc/node')
FS = STATE.resolve().parent
RACK = FS.parent.parent
COROSYNC = Path('/etc/pve/corosync.conf')
NAME = Path('/etc/hostname').read_text().strip().split('.')[0]
ADDRESS = (FS / 'address').read_text().strip()


def die(words, code=255):
    print(words, file=sys.stderr)
    sys.exit(code)


def read(path, default):
    return json.loads(path.read_text()) if path.exists() else default


def note(line):
    """What was done on the node, for the test to read."""
    with open(STATE / 'log', 'a', encoding='utf-8') as log:
        log.write(line + '\n')


def is_booting(folder):
    """Whether a node is on its way up: its services are not there yet."""
    ready = folder / 'state' / 'ready'
    return ready.exists() and time.time() < float(ready.read_text())


def is_up(address):
    """Whether that node's sshd runs, and its services are there."""
    for folder in RACK.glob('*/fs/address'):
        if folder.read_text().strip() == address and not is_booting(folder.parent):
            config = str(folder.parent / 'sshd_config')
            for line in Path('/proc').glob('[0-9]*/cmdline'):
                try:
                    if config in line.read_text():
                        return True
                except OSError:
                    pass
    return False


def cluster():
    """The folder that this node's cluster shares."""
    return RACK / 'clusters' / json.loads(COROSYNC.read_text())['number'] if COROSYNC.exists() else None


def members(folder):
    return {path.stem: json.loads(path.read_text()) for path in sorted((folder / 'nodes').glob('*.json'))}


def guests(kind):
    return [guest for guest in read(STATE / 'guests.json', []) if guest.get('type') == kind]


def enter(folder, name, address):
    (folder / 'nodes').mkdir(parents=True, exist_ok=True)
    (folder / 'nodes' / f'{name}.json').write_text(json.dumps({'address': address}))


def pvecm(args):
    if os.getcwd().startswith('/etc/pve'):
        die("Navigate out of /etc/pve before running 'pvecm add'")
    if args[0] == 'create':
        if COROSYNC.exists():
            die('cluster config already exists', 2)
        if not args[1].replace('-', '').isalnum() or len(args[1]) > 15:
            die('400 Parameter verification failed.\nclustername: invalid', 2)
        number = f'{random.getrandbits(48):012x}'
        enter(RACK / 'clusters' / number, NAME, ADDRESS)
        COROSYNC.write_text(json.dumps({'number': number, 'name': args[1]}))
        note(f'created {args[1]}')
    elif args[0] == 'addnode':
        # What a member is told over SSH.
        if cluster() is None:
            die('no cluster here')
        enter(cluster(), args[1], args[2])
    elif args[0] == 'add':
        if COROSYNC.exists():
            die('detected the following error(s):\n* cluster config exists')
        if guests('qemu') or guests('lxc'):
            die('detected the following error(s):\n* this host already contains virtual guests')
        if '--use_ssh' not in args:
            die('no password given')
        ssh = ['ssh', '-o', 'BatchMode=yes', f'root@{args[1]}']
        done = subprocess.run([*ssh, 'cat', str(COROSYNC)], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            die(f'unable to copy ssh ID: {done.stderr}')
        subprocess.run([*ssh, '/usr/local/sbin/pvecm', 'addnode', NAME, ADDRESS], check=True, stdin=subprocess.DEVNULL)
        COROSYNC.write_text(done.stdout)
        note(f'joined at {args[1]}')
    else:
        die(f'unknown command pvecm {args[0]}')


def pvesh(args):
    verb, path = args[:2]
    if (verb, path) == ('get', '/cluster/status'):
        if is_booting(FS):
            die('Connection refused', 111)
        folder = cluster()
        nodes = members(folder) if folder else {NAME: {'address': ADDRESS}}
        rows = [
            {'type': 'node', 'id': f'node/{name}', 'name': name, 'ip': node['address'], 'local': int(name == NAME),
             'online': int(name == NAME or is_up(node['address']))}
            for name, node in nodes.items()
        ]
        if folder:
            quorate = int(sum(row['online'] for row in rows) * 2 > len(rows))
            name = json.loads(COROSYNC.read_text())['name']
            rows.insert(0, {'type': 'cluster', 'id': 'cluster', 'name': name, 'nodes': len(rows), 'quorate': quorate})
        print(json.dumps(rows))
    elif verb == 'get' and path in (f'/nodes/{NAME}/qemu', f'/nodes/{NAME}/lxc'):
        sever()
        print(json.dumps(guests(path.rsplit('/', 1)[1])))
    elif (verb, path) == ('get', '/storage'):
        print(json.dumps(read((cluster() or STATE) / 'storage.json', [{'storage': 'local', 'type': 'dir'}])))
    elif (verb, path) == ('create', '/storage'):
        file = (cluster() or STATE) / 'storage.json'
        known = read(file, [{'storage': 'local', 'type': 'dir'}])
        options = dict(zip((name.lstrip('-') for name in args[2::2]), args[3::2]))
        if options['storage'] in [entry['storage'] for entry in known]:
            die(f"create storage failed: storage ID '{options['storage']}' already defined")
        file.write_text(json.dumps([*known, options]))
        note(f"storage {options['storage']}")
    else:
        die(f"No '{verb}' handler defined for '{path}'")


def sever():
    """Ends everything on the node that a test names in /etc/node/sever: it is gone in the middle of the run."""
    if (STATE / 'sever').exists() and COROSYNC.exists() is False:
        victim = RACK / (STATE / 'sever').read_text().strip() / 'fs' / 'sshd_config'
        pids = [int(path.name) for path in Path('/proc').glob('[0-9]*')]
        room = {os.readlink(f'/proc/{pid}/ns/mnt') for pid in pids if str(victim) in words_of(pid)}
        for pid in pids:
            try:
                if os.readlink(f'/proc/{pid}/ns/mnt') in room:
                    os.kill(pid, 9)
            except OSError:
                pass


def words_of(pid):
    try:
        return Path(f'/proc/{pid}/cmdline').read_text()
    except OSError:
        return ''


def apt_get(args):
    words = [arg for arg in args if not arg.startswith('-') and '::' not in arg]
    is_dry = '--dry-run' in args
    sources = Path('/etc/apt/sources.list.d')
    if words == ['update']:
        on = [file for file in sources.glob('*.list') if any(
            line.startswith('deb') and 'enterprise.proxmox' in line for line in file.read_text().splitlines())]
        on += [file for file in sources.glob('*.sources') if 'enterprise.proxmox' in file.read_text()
               and 'Enabled: no' not in file.read_text()]
        if on:
            die(f'E: Failed to fetch {on[0].name}  401  Unauthorized', 100)
        if not list(sources.glob('prox-orchestrator.sources')):
            die('E: no source of Proxmox packages', 100)
        (STATE / 'lists').touch()
    elif words == ['dist-upgrade']:
        kernel = Path('/boot/vmlinuz-6.99.0-1-pve')
        counts = (0, 0) if kernel.exists() or not (STATE / 'lists').exists() else (12, 1)
        if counts != (0, 0) and not is_dry:
            time.sleep(1.1)  # the kernel is younger than the boot
            kernel.touch()
            note('upgraded')
        print(f'{counts[0]} upgraded, {counts[1]} newly installed, 0 to remove and 0 not upgraded.')
    elif words[0] == 'install':
        packages = args[args.index('--') + 1:]
        known = read(STATE / 'packages.json', [])
        new = [package for package in packages if package not in known]
        if any(package.startswith('no-such') for package in packages):
            die(f'E: Unable to locate package {packages[-1]}', 100)
        if new and not is_dry:
            (STATE / 'packages.json').write_text(json.dumps(known + new))
            note('installed ' + ' '.join(new))
        print(f'0 upgraded, {len(new)} newly installed, 0 to remove and 0 not upgraded.')
    else:
        die(f'E: Invalid operation {words}', 100)


def shutdown(args):
    """A reboot: another boot id, another boot time, and no connection survives it."""
    away = [folder.parent.name for folder in RACK.glob('*/fs') if folder != FS and is_booting(folder)]
    note('rebooted' + (f' while {away} was away' if away else ''))
    if COROSYNC.exists():
        (STATE / 'ready').write_text(str(time.time() + 8))
    if os.fork() == 0:
        os.setsid()
        time.sleep(0.3)
        # In place: both are mounted.
        (FS / 'boot_id').write_text(Path('/proc/sys/kernel/random/uuid').read_text())
        (FS / 'stat').write_text(f'btime {int(time.time()) + 1}\n')


def systemctl(args):
    if args[0] == 'is-active':
        is_down = args[1] in read(STATE / 'down.json', [])
        print('inactive' if is_down else 'active')
        sys.exit(3 if is_down else 0)
    else:
        shutdown(args)


def dpkg_query(args):
    if args[-1] != (STATE / 'product').read_text().strip():
        die(f'dpkg-query: no packages found matching {args[-1]}', 1)
    print('4.0.1-1', end='')


def backup_manager(args):
    known = read(STATE / 'datastores.json', [])
    if args[:2] == ['datastore', 'list']:
        print(json.dumps(known))
    elif args[:2] == ['datastore', 'create'] and args[2] not in [store['name'] for store in known]:
        (STATE / 'datastores.json').write_text(json.dumps([*known, {'name': args[2], 'path': args[3]}]))
        note(f'datastore {args[2]}')
    else:
        die(f'datastore {args[2:]} cannot be made')


def main():
    name, args = os.path.basename(sys.argv[0]), sys.argv[1:]
    simple = {
        'ifreload': lambda args: note('ifreload'), 'chronyc': lambda args: note('chronyc ' + ' '.join(args)),
        'timedatectl': lambda args: print((STATE / 'zone').read_text() if (STATE / 'zone').exists() else 'UTC')
        if args[0] == 'show' else (STATE / 'zone').write_text(args[1]),
        'pveversion': lambda args: print('pve-manager/9.2.2/0123 (running kernel: 6.17.2-1-pve)'),
    }
    commands = {'pvecm': pvecm, 'pvesh': pvesh, 'apt-get': apt_get, 'shutdown': shutdown, 'reboot': shutdown,
                'systemctl': systemctl, 'dpkg-query': dpkg_query, 'proxmox-backup-manager': backup_manager, **simple}
    commands[name](args)


main()
