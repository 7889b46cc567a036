"""A Channels layer over the redis-py seam, whose groups are streams.

``ChannelLayer`` is the layer; ``Subscription`` is what its ``subscribe`` returns to those who want
a group's messages without a gap, or to be told of one.
"""

from cacheapp.channels.groups import Subscription
from cacheapp.channels.layer import ChannelLayer

__all__ = ["ChannelLayer", "Subscription"]
