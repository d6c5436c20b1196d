#include "cli/data/read_flags.h"

#include "base/status.h"

namespace rein::cli {

void AddReadFlags(CLI::App& verb, ReadFlags& flags) {
  verb.add_option(
      "--format", flags.format,
      "beavertails-v, safe-rlhf, beavertails, spa-vl, llava, mm-safety-bench, vlguard, vlsbench or "
      "rows; default: by the columns");
  verb.add_option("--split", flags.split, "files of this split: train, evaluation or all; default all");
  verb.add_option("--columns", flags.columns, "NAME=NAME_IN_FILE,... where columns have other names");
  verb.add_option("--images", flags.images,
                  "folder of pictures named by path; default: beside the file, or in images/ there");
  verb.add_option(
      "--contradictions", flags.contradictions,
      "ratings that contradict their label: keep, drop, trust_rating or trust_label; default keep");
  verb.add_option("--pictures", flags.pictures,
                  "how far to check them: none, header or decode; default header");
  verb.add_flag("--drop-duplicates", flags.drop_duplicates, "drop rows that were there before");
  verb.add_flag("--every-exchange", flags.every_exchange, "every exchange of a conversation is a row");
  verb.add_option("--safe-rate", flags.safe_rate,
                  "rate, 0 .. 3, of safe (or chosen) answers that have none; default: none");
  verb.add_option("--unsafe-rate", flags.unsafe_rate,
                  "rate, -3 .. -1, of unsafe (or rejected) answers that have none; default: none");
}

absl::StatusOr<data::ReadOptions> ToReadOptions(const ReadFlags& flags) {
  data::ReadOptions options;
  if (!flags.format.empty()) {
    REIN_ASSIGN_OR_RETURN(options.format, data::ParseFormat(flags.format));
  }
  REIN_ASSIGN_OR_RETURN(options.split, data::ParseSplit(flags.split));
  REIN_ASSIGN_OR_RETURN(options.columns, data::ParseColumnNames(flags.columns));
  REIN_ASSIGN_OR_RETURN(options.contradiction, data::ParseContradiction(flags.contradictions));
  REIN_ASSIGN_OR_RETURN(options.picture_check, data::ParsePictureCheck(flags.pictures));
  options.images = flags.images;
  options.drop_duplicates = flags.drop_duplicates;
  options.every_exchange = flags.every_exchange;
  options.safe_rate = flags.safe_rate;
  options.unsafe_rate = flags.unsafe_rate;
  return options;
}

}  // namespace rein::cli
