# Callback plugin of prox-orchestrator: appends one JSON object per event to the file named by PROX_EVENTS.
#
# It only adds: the output of ansible-playbook and the user's own callbacks stay as they are, and whatever goes wrong in here
# switches this plugin off and nothing else. Only a question that nobody can answer ends the run. Works with ansible-core
# 2.14 to 2.21; needs nothing but the standard library. Schema v1: every object has v, seq (a gap means lost), ts (epoch
# seconds) and ev; readers ignore what they do not know.
from __future__ import annotations

import difflib
import json
import os
import sys
import time

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = '''
    name: prox_events
    type: notification
    short_description: Writes events as JSON lines for prox-orchestrator
    description:
      - Appends one JSON object per event to the file named by the environment variable PROX_EVENTS.
      - Does nothing where the variable is not set.
'''

SCHEMA = 1
# Longest text field, in characters; stdout and stderr keep their ends, where the reason usually stands.
TEXT_LIMIT = 4096
# Longest diff, and longest side of one that is compared, in characters.
DIFF_LIMIT = 8192
SIDE_LIMIT = 262144
STAT_NAMES = {
    'ok': 'ok', 'changed': 'changed', 'failures': 'failures', 'dark': 'unreachable', 'skipped': 'skipped',
    'rescued': 'rescued', 'ignored': 'ignored',
}


def head(text):
    text = str(text)
    return text if len(text) <= TEXT_LIMIT else text[:TEXT_LIMIT - 1] + '…'


def tail(text):
    text = str(text)
    return text if len(text) <= TEXT_LIMIT else '…' + text[-(TEXT_LIMIT - 1):]


def lines_of(side):
    text = side if isinstance(side, str) else json.dumps(side, indent=2, sort_keys=True, default=str)
    return text[:SIDE_LIMIT].splitlines()


def diff_text(diffs):
    """What changed, as a unified diff; modules give one or several, prepared or as two sides."""
    parts = []
    for diff in diffs if isinstance(diffs, list) else [diffs]:
        if not isinstance(diff, dict):
            continue
        if diff.get('prepared'):
            parts.append(str(diff['prepared']))
        elif 'before' in diff and 'after' in diff:
            before, after = str(diff.get('before_header') or 'before'), str(diff.get('after_header') or 'after')
            parts.append('\n'.join(
                difflib.unified_diff(lines_of(diff['before']), lines_of(diff['after']), before, after, lineterm='')))
    text = '\n'.join(part for part in parts if part)
    return text if len(text) <= DIFF_LIMIT else text[:DIFF_LIMIT - 1] + '…'


def part(result, name):
    """The attribute `name` of a task result: public since 2.19, with an underscore before."""
    value = getattr(result, name, None)
    return value if value is not None else getattr(result, '_' + name)


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = 'notification'
    CALLBACK_NAME = 'prox_events'
    CALLBACK_NEEDS_ENABLED = False

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self._seq = 0
        self._fd = None
        self._pid = os.getpid()
        self._started = {}
        self._play = None
        target = os.environ.get('PROX_EVENTS')
        if not target:
            self.disabled = True
            return
        try:
            # An ansible-playbook that a task of the playbook starts inherits the variable and finds the file there: it is
            # none of the run's.
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
            self._fd = os.open(target, flags, 0o600)
        except OSError:
            self.disabled = True

    # -- writing -----------------------------------------------------------------------------------------------------

    def _emit(self, event, make):
        """Writes one event; `make` returns its fields. Only the process that opened the file writes."""
        if self._fd is None or os.getpid() != self._pid:
            return
        try:
            self._seq += 1
            record = {'v': SCHEMA, 'seq': self._seq, 'ts': round(time.time(), 3), 'ev': event}
            record.update((key, value) for key, value in make().items() if value is not None)
            data = (json.dumps(record, ensure_ascii=True, default=str) + '\n').encode('ascii')
            while data:
                data = data[os.write(self._fd, data):]
        except Exception:  # pylint: disable=broad-except
            # A half-written line or a full disk: the run matters more than its events.
            self._fd = None
            self.disabled = True

    # -- fields ------------------------------------------------------------------------------------------------------

    def _task_fields(self, task):
        role = getattr(task, '_role', None)
        return {
            'play_id': self._play,
            'task_id': str(task._uuid),
            'task': head(task.get_name()),
            'action': str(task.action),
            'path': head(task.get_path() or '') or None,
            'role': head(role.get_name()) if role else None,
        }

    def _result_fields(self, result, final=True):
        task, host, data = part(result, 'task'), part(result, 'host'), part(result, 'result')
        key = (str(host.get_name()), str(task._uuid))
        begun = self._started.pop(key, None) if final else self._started.get(key)
        fields = {
            'host': key[0],
            'task_id': key[1],
            'task': head(task.get_name()),
            'action': str(task.action),
            'dur': round(time.monotonic() - begun, 3) if begun is not None else None,
            'changed': True if data.get('changed') else None,
        }
        delegated = data.get('_ansible_delegated_vars') or {}
        if isinstance(delegated, dict) and delegated.get('ansible_delegated_host'):
            fields['delegated_to'] = str(delegated['ansible_delegated_host'])
        if data.get('_ansible_no_log') or getattr(task, 'no_log', False) is True or 'censored' in data:
            fields['censored'] = True
            return fields
        for name, cut in (('msg', head), ('skip_reason', head), ('stdout', tail), ('stderr', tail)):
            if data.get(name):
                fields[name] = cut(data[name])
        for source, name in (('module_stdout', 'stdout'), ('module_stderr', 'stderr')):
            if data.get(source) and name not in fields:
                fields[name] = tail(data[source])
        if isinstance(data.get('rc'), int):
            fields['rc'] = data['rc']
        if data.get('diff'):
            fields['diff'] = diff_text(data['diff']) or None
        if data.get('failed') or data.get('changed') or data.get('unreachable'):
            # Ansible has taken the values of `no_log` parameters out.
            invocation = data.get('invocation')
            arguments = invocation.get('module_args') if isinstance(invocation, dict) else None
            if arguments:
                fields['args'] = head(json.dumps(arguments, sort_keys=True, default=str))
        return fields

    def _item_fields(self, result):
        fields, data = self._result_fields(result, final=False), part(result, 'result')
        if not fields.get('censored'):
            label = data.get('_ansible_item_label', data.get('item'))
            fields['item'] = head(label)
        return fields

    def _attempt_fields(self, result):
        fields, data = self._result_fields(result, final=False), part(result, 'result')
        for name in ('attempts', 'retries'):
            if isinstance(data.get(name), int):
                fields[name] = data[name]
        return fields

    @staticmethod
    def _play_hosts(play):
        """Names of the hosts this play (or batch) acts on. Not a public interface, so it may fail one day."""
        try:
            inventory = play.get_variable_manager()._inventory
            return [str(host.get_name()) for host in inventory.get_hosts(play.hosts, order=play.order)]
        except Exception:  # pylint: disable=broad-except
            return None

    @staticmethod
    def _count(play):
        """Number of tasks that can be counted before the play runs."""
        try:
            def count(block):
                return sum(
                    count(entry) if hasattr(entry, 'block') else int(not getattr(entry, 'implicit', False))
                    for entry in block.block
                )
            total = sum(count(block) for block in play.compile())
            return total + (1 if play.gather_facts in (True, None) else 0)
        except Exception:  # pylint: disable=broad-except
            return None

    # -- what Ansible calls ------------------------------------------------------------------------------------------

    def v2_playbook_on_start(self, playbook):
        def make():
            from ansible import context
            from ansible.release import __version__
            args = context.CLIARGS
            return {
                'pid': self._pid,
                'ansible': __version__,
                'python': '.'.join(str(number) for number in sys.version_info[:3]),
                'playbook': head(playbook._file_name),
                'forks': args.get('forks'),
                'check': True if args.get('check') else None,
                'subset': head(args['subset']) if args.get('subset') else None,
                'tags': [str(tag) for tag in args.get('tags') or ()] or None,
            }
        self._emit('playbook_start', make)

    def v2_playbook_on_play_start(self, play):
        self._play = str(play._uuid)
        self._emit('play_start', lambda: {
            'play': head(play.get_name()),
            'play_id': self._play,
            'hosts': self._play_hosts(play),
            'tasks': self._count(play),
        })

    def v2_playbook_on_task_start(self, task, is_conditional):
        self._emit('task_start', lambda: {**self._task_fields(task), 'kind': 'task'})

    def v2_playbook_on_handler_task_start(self, task):
        self._emit('task_start', lambda: {**self._task_fields(task), 'kind': 'handler'})

    def v2_playbook_on_cleanup_task_start(self, task):
        self._emit('task_start', lambda: {**self._task_fields(task), 'kind': 'cleanup'})

    def v2_runner_on_start(self, host, task):
        def make():
            key = (str(host.get_name()), str(task._uuid))
            self._started[key] = time.monotonic()
            return {'host': key[0], 'task_id': key[1]}
        self._emit('host_start', make)

    def v2_runner_on_ok(self, result):
        self._emit('host_ok', lambda: self._result_fields(result))

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._emit('host_failed', lambda: {
            **self._result_fields(result), 'ignored': True if ignore_errors else None,
        })

    def v2_runner_on_unreachable(self, result):
        self._emit('host_unreachable', lambda: {
            **self._result_fields(result),
            'ignored': True if getattr(part(result, 'task'), 'ignore_unreachable', None) else None,
        })

    def v2_runner_on_skipped(self, result):
        self._emit('host_skipped', lambda: self._result_fields(result))

    def v2_runner_item_on_ok(self, result):
        self._emit('item_ok', lambda: self._item_fields(result))

    def v2_runner_item_on_failed(self, result):
        self._emit('item_failed', lambda: self._item_fields(result))

    def v2_runner_item_on_skipped(self, result):
        self._emit('item_skipped', lambda: self._item_fields(result))

    def v2_runner_retry(self, result):
        self._emit('retry', lambda: self._attempt_fields(result))

    def v2_runner_on_async_poll(self, result):
        self._emit('async_poll', lambda: self._attempt_fields(result))

    def v2_playbook_on_notify(self, handler, host):
        self._emit('notify', lambda: {'host': str(host.get_name()), 'handler': head(handler.get_name())})

    def v2_playbook_on_include(self, included_file):
        self._emit('include', lambda: {
            'file': head(included_file._filename),
            'hosts': [str(host.get_name()) for host in included_file._hosts],
        })

    def v2_playbook_on_vars_prompt(self, varname, private=True, prompt=None, encrypt=None, confirm=False, salt_size=None,
                                   salt=None, default=None, unsafe=None):
        self._emit('prompt', lambda: {'var': head(varname)})
        if default is None and not self.disabled:
            # Nobody is asked in a run. Ansible would go on with an empty value on every node, and call it a success.
            sys.stderr.write(
                f'ERROR! the playbook asks for `{varname}`, and nobody can answer: give the run a variable of that name, '
                'or the question a default\n')
            raise SystemExit(1)

    def v2_playbook_on_no_hosts_matched(self):
        self._emit('no_hosts_matched', dict)

    def v2_playbook_on_no_hosts_remaining(self):
        self._emit('no_hosts_remaining', dict)

    def v2_playbook_on_stats(self, stats):
        def make():
            hosts = {}
            for host in sorted(stats.processed):
                hosts[str(host)] = {
                    name: getattr(stats, source, {}).get(host, 0) for source, name in STAT_NAMES.items()
                }
            return {'hosts': hosts}
        self._emit('stats', make)
