"""Every mutant, and the tests of the suite that must notice what it breaks."""

from __future__ import annotations

from .faithful import Faithful
from .memory_mutants import (
    KeepsFeedsBound,
    KeepsModels,
    LeavesFilesOpen,
    LeavesThreads,
    RemembersModelsByPath,
    RemembersResultsOfAShape,
    SharesResults,
    SharesStaging,
)
from .model_mutants import (
    ClaimsAnotherDevice,
    ClaimsReducedPrecision,
    CountsItsStamps,
    FallsBackInSilence,
    IgnoresCancelling,
    IgnoresShapes,
    IgnoresUnknownOptions,
    ImportsItsVendorForTheStamp,
    InheritsTheVersionOfTheContract,
    RaisesWhatItsVendorRaises,
    RebuildsEachTime,
    TrustsDamagedArtefacts,
    WritesBesideTheModel,
    WritesToTheHomeFolder,
)
from .request_mutants import (
    BindsWhatDoesNotFit,
    CastsFeeds,
    ClosesOnce,
    ComputesInBf16,
    ComputesInt64InInt32,
    DropsNan,
    GivesDoubles,
    IgnoresBind,
    IgnoresFurtherFeeds,
    LeaksOnClose,
    LeaksOnResize,
    NeverStarts,
    ReinterpretsFeeds,
    ResizesOneByOne,
    ReturnsViews,
    ReversesOutputs,
    RunsWhileStarted,
    SharesBuffers,
    StaysOpen,
    SwallowsWrongFeeds,
    TransposesOutputs,
    TruncatesLargerBatches,
    WritesToItsFeeds,
)

__all__ = ["BREAKS"]

BREAKS: dict[type[Faithful], tuple[str, ...]] = {
    ReturnsViews: ("test_results_of_infer_are_the_callers_own",),
    SharesBuffers: (
        "test_each_request_has_buffers_of_its_own",
        "test_8_threads_over_8_requests_get_their_own_answers",
        "test_closing_one_request_leaves_the_others",
        "test_requests_of_one_model_have_their_own_shapes",
    ),
    WritesToItsFeeds: ("test_infer_leaves_its_feeds_alone",),
    ClaimsReducedPrecision: (
        "test_asked_precision_is_built_and_true_or_refused",
        "test_unsupported_precision_is_refused",
    ),
    ComputesInBf16: (
        "test_default_precision_is_f32_and_true",
        "test_reference_is_plain_f32",
        "test_smallest_and_largest_float32_pass",
    ),
    ClaimsAnotherDevice: (
        "test_everything_runs_where_it_was_asked_to",
        "test_placement_names_devices_that_exist_and_counts_operators",
    ),
    FallsBackInSilence: (
        "test_unknown_device_is_refused",
        "test_device_of_an_index_that_is_not_there_is_refused",
    ),
    WritesBesideTheModel: (
        "test_no_file_is_written_without_a_cache_dir",
        "test_only_the_cache_dir_is_written_to",
    ),
    WritesToTheHomeFolder: (
        "test_no_file_is_written_without_a_cache_dir",
        "test_only_the_cache_dir_is_written_to",
    ),
    IgnoresShapes: (
        "test_shapes_fix_the_inputs",
        "test_shape_fixed_by_shapes_does_not_change",
        "test_shapes_that_do_not_fit_the_model_are_refused",
    ),
    IgnoresUnknownOptions: ("test_unknown_option_is_an_input_error",),
    IgnoresCancelling: (
        "test_cancelled_compile_is_a_failure_and_leaves_no_artefact",
        "test_progress_is_told_what_happens",
    ),
    SwallowsWrongFeeds: (
        "test_wrong_feed_is_refused_and_the_request_still_works",
        "test_unchecked_feed_is_never_silent_and_the_request_still_works",
    ),
    CastsFeeds: ("test_unchecked_feed_is_never_silent_and_the_request_still_works",),
    LeaksOnResize: ("test_resizing_gives_memory_back",),
    LeaksOnClose: ("test_closing_gives_memory_back",),
    TruncatesLargerBatches: (
        "test_dynamic_batch_follows_resize",
        "test_infer_takes_any_batch_without_resize",
    ),
    GivesDoubles: ("test_float32_passes_unchanged",),
    TransposesOutputs: ("test_every_rank", "test_convolution_is_right"),
    ReversesOutputs: (
        "test_several_inputs_and_outputs_keep_their_names",
        "test_40_inputs_and_40_outputs_keep_their_names",
    ),
    DropsNan: ("test_nan_and_infinities_pass",),
    ComputesInt64InInt32: ("test_integers_keep_every_bit",),
    ImportsItsVendorForTheStamp: ("test_stamp_and_import_load_no_vendor_module",),
    CountsItsStamps: ("test_stamp_is_the_same_each_time",),
    InheritsTheVersionOfTheContract: ("test_version_of_the_contract_is_the_plugins_own_literal",),
    IgnoresBind: (
        "test_bound_input_is_read_at_each_run",
        "test_bound_output_is_written_by_each_run",
        "test_unfit_array_is_not_bound",
    ),
    BindsWhatDoesNotFit: ("test_unfit_array_is_not_bound",),
    NeverStarts: (
        "test_started_run_is_done_after_wait",
        "test_second_start_before_a_wait_is_an_input_error",
    ),
    StaysOpen: ("test_use_after_close_is_a_session_error", "test_closing_twice_is_harmless"),
    TrustsDamagedArtefacts: ("test_damaged_artefact_is_built_anew",),
    RebuildsEachTime: (
        "test_second_compile_needs_the_cache_alone",
        "test_artefact_of_another_process_is_used",
    ),
    RaisesWhatItsVendorRaises: (
        "test_malformed_file_is_a_model_error",
        "test_unknown_operator_is_an_unsupported_model",
    ),
    SharesResults: ("test_results_of_two_requests_have_nothing_in_common",),
    SharesStaging: ("test_8_threads_over_8_requests_get_their_own_answers",),
    KeepsFeedsBound: ("test_infer_and_run_may_alternate",),
    RemembersResultsOfAShape: (
        "test_request_may_be_resized_often",
        "test_feeds_may_change_after_infer",
    ),
    RemembersModelsByPath: ("test_file_that_changed_is_compiled_anew",),
    KeepsModels: ("test_closing_compiled_models_gives_memory_back",),
    LeavesFilesOpen: ("test_closing_gives_files_and_threads_back",),
    LeavesThreads: ("test_closing_gives_files_and_threads_back",),
    ClosesOnce: ("test_closing_twice_is_harmless",),
    RunsWhileStarted: ("test_started_request_is_the_runs_until_it_is_waited_for",),
    IgnoresFurtherFeeds: ("test_unchecked_feed_is_never_silent_and_the_request_still_works",),
    ReinterpretsFeeds: ("test_unchecked_feed_is_never_silent_and_the_request_still_works",),
    ResizesOneByOne: ("test_wrong_shape_of_one_input_leaves_the_others_as_they_were",),
}
