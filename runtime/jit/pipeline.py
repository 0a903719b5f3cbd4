"""Numba's compiler, less what kernels do without.

Numba makes machine code of every function for itself, and optimises its LLVM code once more wherever another one calls it. Here
the functions that a kernel calls stay as they are until the kernel is complete: that is optimised and becomes machine code,
once. Two passes are left out: one for closures, which kernels may not have (comprehensions are closures), and one that makes a
single loop of an expression of whole arrays.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Literal

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import PassManager, register_pass
from numba.core.registry import cpu_target
from numba.core.typed_passes import NativeLowering, NopythonRewrites
from numba.core.untyped_passes import InlineClosureLikes

from .link import helper

LEFT_OUT = (InlineClosureLikes, NopythonRewrites)


class Part(JITCodeLibrary):
    """LLVM code of a function that kernels call, with that of what it calls: not optimised, no machine code."""

    def _optimize_functions(self, ll_module: Any) -> None:
        ll_module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True


class Whole(Part):
    """LLVM code of a kernel, everything in it."""

    def _optimize_final_module(self) -> None:
        JITCodeLibrary._optimize_final_module(self)

    def machine_code(self) -> bytes:
        """The kernel as a relocatable object. Only for who holds Numba's lock."""
        self._ensure_finalized()
        return self._codegen._tm.emit_object(self._final_module)

    def imports(self) -> tuple[str, ...]:
        """Names that the code takes from outside."""
        module = self._final_module
        declared = [value.name for value in (*module.functions, *module.global_variables) if value.is_declaration]
        return tuple(name for name in declared if not name.startswith("llvm."))


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(NativeLowering):
    """From Numba's to LLVM's code, and no further."""

    _name = "tersor_lower_part"
    library: type[Part] = Part

    def run_pass(self, state: Any) -> Literal[True]:
        state.library = self.library(state.targetctx.codegen(), state.func_id.func_qualname)
        state.targetctx.get_abi_sizeof = _size_of
        state.flags.no_compile = True
        super().run_pass(state)
        lowered = state["cr"]
        name = lowered.fndesc
        make_function = helper("numba._dynfunc").make_function
        entry = make_function(name.lookup_module(), name.qualname, "", 0, lowered.env, (state.library,))
        state["cr"] = lowered._replace(cfunc=entry)  # nobody calls it: Numba finds a function by it
        state.targetctx.insert_user_function(entry, name, [state.library])
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerWhole(_LowerPart):
    """The same for a kernel."""

    _name = "tersor_lower_whole"
    library = Whole


class PartCompiler(CompilerBase):
    """Compiles a function to a :class:`Part`."""

    lowering: type[NativeLowering] = _LowerPart

    def define_pipelines(self) -> list[PassManager]:
        """Numba's passes, some replaced or left out."""
        manager = PassManager("tersor")
        for kind, description in DefaultPassBuilder.define_nopython_pipeline(self.state).passes:
            if kind not in LEFT_OUT:
                manager.add_pass(self.lowering if kind is NativeLowering else kind, description)
        manager.finalize()
        return [manager]


class WholeCompiler(PartCompiler):
    """Compiles a function to a :class:`Whole`."""

    lowering = _LowerWhole


@cache
def _size_of(kind: Any) -> int:
    """Bytes of an LLVM type. Numba asks for that of each variable, for debuggers, and finds it by parsing a module."""
    context: Any = cpu_target.target_context
    return kind.get_abi_size(context.target_data)
