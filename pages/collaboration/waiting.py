"""Waiting work: for agents and reps with a free hand, to take what nobody has yet."""

from ui.components.header import header
from ui.components.waiting_list import waiting_list
from ui.session import current_actor

header("Waiting", "New work for which nobody was free. Take what you can.")
waiting_list(current_actor())
