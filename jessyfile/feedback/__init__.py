"""What people say of answers: recorded on this machine, judged by a person, and only then learned from.

signal       one thing that was said, judged by grammar/feedback.schema.json
store        `.jessy/feedback/signals.jsonl`: appended, never lost, forgotten for good when asked
open_webui   the signals of another chat page's export
importing    signals from a file
learnable    what can be learned from a signal, and what would give an evaluation case away
accepted     `data/feedback`: the rows and preferences of what a person accepted
remains      where the words of a forgotten signal still stand

    from jessyfile.feedback import Signal, record

    id = record(root, Signal("edit", messages, answer, "jessy", chosen="..."))
"""

from jessyfile.feedback.signal import Message as Message
from jessyfile.feedback.signal import Signal as Signal
from jessyfile.feedback.signal import Source as Source
from jessyfile.feedback.signal import read_signal as read_signal
from jessyfile.feedback.store import SignalStore as SignalStore
from jessyfile.feedback.store import StoredSignal as StoredSignal
from jessyfile.feedback.store import record as record
