"""What values a term has in the records that a query is true of, and in how many of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil, floor, inf, isfinite, log10
from typing import TypeAlias

import numpy as np
from sqlalchemy import Connection, select

from parscope.catalog.query.ast import EVERYTHING, Expression, Term
from parscope.catalog.store.keys import Type, value_of
from parscope.catalog.store.plan import chosen_of
from parscope.catalog.store.scope import Ids, Scope, ids_of, joined
from parscope.catalog.store.tables import value
from parscope.catalog.store.terms import conditions
