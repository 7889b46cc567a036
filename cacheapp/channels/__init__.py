"""A Channels layer over the redis-py seam, with groups that are streams; and who hears of caches.

``ChannelLayer`` is the layer; ``Subscription`` is what its ``subscribe`` returns to those who want
a group's messages without a gap, or to be told of one. ``InvalidationConsumer`` tells a project's
own consumers what a cache invalidates, and needs no layer; ``invalidation_group`` is for others.
"""

from cacheapp.channels.consumers import InvalidationConsumer
from cacheapp.channels.groups import Subscription
from cacheapp.channels.invalidations import invalidation_group
from cacheapp.channels.layer import ChannelLayer

__all__ = ["ChannelLayer", "InvalidationConsumer", "Subscription", "invalidation_group"]
