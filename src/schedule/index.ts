export {
  compileSchedule,
  isOpen,
  nextOpening,
  type Schedule,
  type ScheduleException,
  type ScheduleHours,
  type ScheduleSpec,
  type ScheduleWindow,
} from "./schedule.ts";
